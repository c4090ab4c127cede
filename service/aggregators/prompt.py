"""The prompts of asking aggregators: samples in fenced, numbered blocks, and the templates they are filled into."""

from collections.abc import Sequence
from string import Template

from service.aggregators.base import Panel
from service.candidates import Candidate
from service.fencing import disarm, fence
from workers.wire.messages import Message


def solutions(texts: Sequence[str], mark: str) -> str:
    """The fenced, numbered solutions."""
    blocks = [f"[{mark}] Solution {number}:\n{disarm(text)}" for number, text in enumerate(texts, start=1)]
    return "\n".join([*blocks, f"[{mark}] End of solutions."])


def show_solutions(panel: Panel, template: str, shown: Sequence[Candidate], purpose: str) -> tuple[Message, ...]:
    """One user's turn: `template` filled with the question and the solutions in a seeded random order."""
    rng = panel.rng(purpose)
    texts = [candidate.sample.text for candidate in shown]
    rng.shuffle(texts)
    mark = fence(panel.seed, texts)
    filled = Template(panel.templates[template]).substitute(
        fence=mark, question=panel.task.question, solutions=solutions(texts, mark)
    )
    return (Message(role="user", content=filled.rstrip("\n")),)
