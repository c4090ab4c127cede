"""Counting votes: what the plain vote does and what every asking method falls back to."""

from dataclasses import replace

from service.aggregators.base import Panel, Standing, Verdict


def standings(panel: Panel) -> tuple[Standing, ...]:
    """Every class with its votes and share, most votes first; ties go to the class with the smallest sample index."""
    total = len(panel.voters)
    ranked = sorted(panel.classes, key=lambda c: (-len(c.members), c.members[0]))
    return tuple(Standing(c, len(c.members), float(len(c.members)), len(c.members) / total) for c in ranked)


def plurality(panel: Panel) -> Verdict:
    """The class with the most votes; abstains where no sample votes."""
    ranking = standings(panel)
    if not ranking:
        return Verdict(answer=None, text=None, ranking=(), reason="no_usable_answer")
    first = ranking[0]
    chosen = first.answer_class.representative
    tied = len(ranking) > 1 and ranking[1].votes == first.votes
    text = next(c.sample.text for c in panel.candidates if c.sample.index == chosen)
    return Verdict(
        answer=first.answer_class.answer,
        text=text,
        ranking=ranking,
        sample_index=chosen,
        support=first.share,
        warnings=("tie: the class with the smallest sample index was chosen",) if tied else (),
    )


def fall_back(panel: Panel, method: str, reason: str) -> Verdict:
    """The plain vote in place of `method`, whose reply could not be used."""
    return replace(plurality(panel), fallback_from=method, fallback_reason=reason)
