"""The prompts of asking aggregators: samples in fenced, numbered blocks, and the templates they are filled into."""

from collections.abc import Sequence
from dataclasses import dataclass
from string import Template

from service.aggregators.base import Ask, AskingOptions, Panel
from service.candidates import Candidate
from service.fencing import MAX_SAMPLE_CHARS, disarm, fence
from workers.wire.messages import FailureKind, Message, Sample, Sampling


def solutions(texts: Sequence[str], mark: str, votes: Sequence[int] = (), most_chars: int = MAX_SAMPLE_CHARS) -> str:
    """The fenced, numbered solutions, each of at most so many characters.

    `votes`: of how many solutions each has the answer, where it stands for them; said behind the marker, so that no
    text can say it of itself.
    """
    said = [f" (its answer is that of {count} solution{'s' * (count != 1)})" for count in votes] or [""] * len(texts)
    blocks = [
        f"[{mark}] Solution {number}{of}:\n{disarm(text, most_chars)}"
        for number, (text, of) in enumerate(zip(texts, said, strict=True), start=1)
    ]
    return "\n".join([*blocks, f"[{mark}] End of solutions."])


@dataclass(frozen=True, slots=True)
class Exhibit:
    """Samples as a model is shown them: `text`, between markers `mark`; `order[k]` is the one shown as number k + 1."""

    order: tuple[Candidate, ...]
    mark: str
    text: str


def exhibit(
    panel: Panel, shown: Sequence[Candidate], purpose: str, *, cut: bool = False, turned: bool = False
) -> Exhibit:
    """The samples, anonymous and numbered, in a random order that follows from the request's seed and `purpose`.

    `cut`: each stands for all samples of its answer, and is shown with their number. `turned`: the last comes first.
    """
    order = list(shown)
    panel.rng(purpose).shuffle(order)
    if turned:
        order.reverse()
    sizes = {index: len(found.members) for found in panel.classes for index in found.members}
    votes = [sizes.get(candidate.sample.index, 1) for candidate in order] if cut else []
    quoted = quote(panel, [candidate.sample.text for candidate in order], votes)
    return Exhibit(tuple(order), quoted.mark, quoted.text)


@dataclass(frozen=True, slots=True)
class Quoted:
    """Texts as a model is shown them: `text`, between markers `mark`."""

    mark: str
    text: str


def quote(panel: Panel, texts: Sequence[str], votes: Sequence[int] = (), most_chars: int = MAX_SAMPLE_CHARS) -> Quoted:
    """The texts, numbered in their order, each of at most so many characters and with its `votes`, if given."""
    mark = fence(panel.seed, texts)
    return Quoted(mark, solutions(texts, mark, votes, min(most_chars, MAX_SAMPLE_CHARS)))


def fill(panel: Panel, template: str, seen: Exhibit | Quoted | None = None, **more: str) -> tuple[Message, ...]:
    """One user's turn: the template with what is shown (`$solutions`, `$fence`), the question and `more` filled in."""
    quoted = {} if seen is None else {"fence": seen.mark, "solutions": seen.text}
    filled = Template(panel.templates[template]).substitute({"question": panel.task.question, **quoted, **more})
    return (Message(role="user", content=filled.rstrip("\n")),)


def representatives(panel: Panel, shown: Sequence[Candidate]) -> list[Candidate]:
    """Of those shown one of each class, the classes with most votes first; those without an answer come last."""
    there = {candidate.sample.index: candidate for candidate in shown}
    ranked = sorted(panel.classes, key=lambda c: (-len(c.members), c.members[0]))
    firsts = [next((there[i] for i in c.members if i in there), None) for c in ranked]
    voiced = {index for c in ranked for index in c.members}
    return [c for c in firsts if c is not None] + [c for c in shown if c.sample.index not in voiced]


def fitting(panel: Panel, shown: Sequence[Candidate], most_chars: int) -> tuple[list[Candidate], tuple[str, ...]]:
    """What can be shown in so many characters: all, or else one of each class, the largest first, with a warning."""
    if sum(len(disarm(c.sample.text)) for c in shown) <= most_chars:
        return list(shown), ()
    kept: list[Candidate] = []
    left = most_chars
    for candidate in representatives(panel, shown):
        left -= len(disarm(candidate.sample.text))
        if kept and left < 0:
            break
        kept.append(candidate)
    return kept, (too_long(len(kept), len(shown)),)


def too_long(kept: int, shown: int) -> str:
    """The warning of a method that showed one text for each answer."""
    return f"too long to show in full: {kept} of {shown} samples were shown, one for each answer beside its votes"


def overflowed(reply: Sample) -> bool:
    """True if what was asked did not fit into the model's context."""
    return reply.failure is not None and reply.failure.kind is FailureKind.CONTEXT_OVERFLOW


@dataclass(frozen=True, slots=True)
class Shown:
    """What came back from a model that was shown samples."""

    reply: Sample
    exhibit: Exhibit
    warnings: tuple[str, ...] = ()


async def ask_about(
    panel: Panel,
    ask: Ask,
    template: str,
    shown: Sequence[Candidate],
    purpose: str,
    sampling: Sampling,
    options: AskingOptions,
    *,
    turned: bool = False,
    **fields: str,
) -> Shown:
    """Shows samples to the model once; at most two calls. `turned`: in the reverse order.

    Where they do not fit into the model's context it is asked again, with one of each class in half as many characters,
    each beside the number of samples that give its answer.
    """
    kept, warnings = fitting(panel, shown, options.max_shown_chars)
    seen = exhibit(panel, kept, purpose, cut=bool(warnings), turned=turned)
    (reply,) = await ask(fill(panel, template, seen, **fields), sampling, model=options.judge_model)
    if not overflowed(reply) or len(kept) < 2:
        return Shown(reply, seen, warnings)
    half = sum(len(disarm(c.sample.text)) for c in kept) // 2
    kept, warnings = fitting(panel, shown, half)
    seen = exhibit(panel, kept, purpose, cut=bool(warnings), turned=turned)
    (reply,) = await ask(fill(panel, template, seen, **fields), sampling, model=options.judge_model)
    return Shown(reply, seen, warnings)
