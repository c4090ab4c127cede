"""Texts written in the light of other texts, round after round: the mechanism of `gsa`, `moa` and `rsa`."""

import asyncio
import itertools
from collections import Counter
from collections.abc import Hashable, Sequence
from dataclasses import dataclass

from service.aggregators.base import Ask, AskingOptions, Panel
from service.aggregators.prompt import fill, overflowed, quote, too_long
from service.aggregators.replies import said, unusable
from service.aggregators.verdicts import class_of
from service.candidates import Candidate
from service.fencing import disarm
from workers.wire.messages import Sample, Sampling


@dataclass(frozen=True, slots=True)
class Draft:
    """A text that writers are shown. `answer`: what its answer is counted as, None if it has none; `place`: its own."""

    text: str
    answer: Hashable
    place: int


@dataclass(frozen=True, slots=True)
class Written:
    """What a writer made; or why it cannot be used, as `unusable` says."""

    text: str | None
    why: str | None = None


@dataclass(frozen=True, slots=True)
class Round:
    """What the writers of one round made, in their order."""

    written: tuple[Written, ...]
    warnings: tuple[str, ...] = ()


def drafts_of(panel: Panel, candidates: Sequence[Candidate]) -> list[Draft]:
    """The samples as drafts, counted by their classes."""
    classes = [class_of(panel, candidate) for candidate in candidates]
    return [
        Draft(candidate.sample.text, named.answer if named else None, candidate.sample.index)
        for candidate, named in zip(candidates, classes, strict=True)
    ]


async def draft_of(panel: Panel, text: str, place: int) -> Draft:
    """A written text as a draft, counted with the samples' classes where it has an answer of theirs."""
    found = panel.classify.extract(text)
    if found is None:
        return Draft(text, None, place)
    named = await panel.classify.find(found)
    return Draft(text, named.answer if named else (found.identity,), place)


def fitted(view: Sequence[Draft], most_chars: int) -> list[Draft]:
    """What of a view can be shown in so many characters: all, or one of each answer, the most frequent first.

    Those without an answer come last. They stay in the view's order, and never none is left.
    """
    if _chars(view) <= most_chars:
        return list(view)
    counts = Counter(draft.answer for draft in view if draft.answer is not None)
    firsts: dict[Hashable, Draft] = {}
    for draft in sorted(view, key=lambda draft: draft.place):
        firsts.setdefault((draft.place,) if draft.answer is None else draft.answer, draft)
    kept: list[Draft] = []
    for draft in sorted(firsts.values(), key=lambda draft: (-counts[draft.answer], draft.place)):
        if kept and _chars([*kept, draft]) > most_chars:
            break
        kept.append(draft)
    return [draft for draft in view if draft in kept]


async def write_all(
    panel: Panel,
    ask: Ask,
    template: str,
    views: Sequence[Sequence[Draft]],
    sampling: Sampling,
    options: AskingOptions,
    models: Sequence[str | None] = (None,),
) -> Round:
    """One text for each view (what its writer is shown, in that order), all at once; at most two calls each.

    `models` take turns. The i-th writer draws with the sampling's seed + i. What is longer than `max_shown_chars` is
    cut to one text of each answer; a view that does not fit into the model's context is shown again so, in half as many
    characters.
    """
    seed = sampling.seed or 0
    takers = list(itertools.islice(itertools.cycle(models), len(views)))
    shown = [fitted(view, options.max_shown_chars) for view in views]

    async def write(at: int) -> Sample:
        cut = len(shown[at]) < len(views[at])
        counts = Counter(draft.answer for draft in views[at])
        votes = [1 if draft.answer is None else counts[draft.answer] for draft in shown[at]] if cut else []
        prompt = fill(panel, template, quote(panel, [draft.text for draft in shown[at]], votes))
        (reply,) = await ask(prompt, sampling.model_copy(update={"seed": seed + at}), model=takers[at])
        return reply

    replies = list(await asyncio.gather(*map(write, range(len(views)))))
    again = [at for at, reply in enumerate(replies) if overflowed(reply) and len(shown[at]) > 1]
    for at in again:
        shown[at] = fitted(views[at], _chars(shown[at]) // 2)
    for at, reply in zip(again, await asyncio.gather(*map(write, again)), strict=True):
        replies[at] = reply
    said_of = [too_long(len(s), len(v)) for s, v in zip(shown, views, strict=True) if len(s) < len(v)]
    return Round(tuple(map(_written, replies)), tuple(dict.fromkeys(said_of)))


def _written(reply: Sample) -> Written:
    why = unusable(reply)
    return Written(None if why else said(reply), why)


def _chars(drafts: Sequence[Draft]) -> int:
    return sum(len(disarm(draft.text)) for draft in drafts)
