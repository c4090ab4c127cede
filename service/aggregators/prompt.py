"""How samples are shown to a model again: fenced, disarmed, capped.

A sample is untrusted text. The fence is derived from the request's seed and from all the samples, so that no sample can
foresee it, the same samples always get the same prompt, and it is checked to be in none of them; control tokens of chat
templates are broken up; each text is capped and loses its thinking.
"""

import hashlib
import re
import string
from collections.abc import Sequence
from string import Template

from service.aggregators.base import Panel
from service.answer_types.reading import strip_thinking
from service.candidates import Candidate
from workers.wire.messages import Message

MAX_SAMPLE_CHARS = 8_000
_CONTROL = re.compile(r"<\|[^|<>]{0,64}\|>|</?s>|\[/?INST\]|<</?SYS>>|<(?:start|end)_of_turn>")


def fence(seed: int, texts: Sequence[str]) -> str:
    """Eight letters that are in none of the texts, a function of the seed and the texts."""
    digest = hashlib.sha256(str(seed).encode())
    for text in texts:
        digest.update(hashlib.sha256(text.encode(errors="surrogatepass")).digest())
    while True:
        mark = "".join(string.ascii_lowercase[byte % 26] for byte in digest.digest()[:8])
        if not any(mark in text for text in texts):
            return mark
        digest.update(b"again")


def disarm(text: str) -> str:
    """The text without thinking, with control tokens broken up, cut in the middle to the cap."""
    shown = _CONTROL.sub(lambda match: match.group().replace("<", "< ").replace("[", "[ "), strip_thinking(text)[0])
    if len(shown) > MAX_SAMPLE_CHARS:
        half = MAX_SAMPLE_CHARS // 2
        shown = f"{shown[:half]}\n[...]\n{shown[-half:]}"
    return shown.strip()


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
