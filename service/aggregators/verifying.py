"""Asking about single samples, all at once: the mechanism of the verifying methods."""

import asyncio
from collections.abc import Sequence

from service.aggregators.base import Ask, AskingOptions, Panel
from service.aggregators.prompt import fill, quote
from service.candidates import Candidate
from workers.wire.messages import Sample, Sampling


async def ask_of_each(
    panel: Panel,
    ask: Ask,
    template: str,
    shown: Sequence[Candidate],
    sampling: Sampling,
    options: AskingOptions,
    times: int = 1,
    **more: str,
) -> list[tuple[Sample, ...]]:
    """For each candidate, `times` replies to the template that shows it alone, in the candidates' order.

    Of a text the middle is left out beyond `max_shown_chars`.
    """
    quoted = [quote(panel, [candidate.sample.text], most_chars=options.max_shown_chars) for candidate in shown]
    prompts = [fill(panel, template, each, **more) for each in quoted]
    asked = [ask(prompt, sampling, times, model=options.judge_model) for prompt in prompts]
    return list(await asyncio.gather(*asked))


def first_failure(replies: Sequence[Sequence[Sample]]) -> str:
    """Why no reply could be used: the first call's failure, or that all were off the format."""
    failed = next((reply.failure for each in replies for reply in each if reply.failure is not None), None)
    return f"call_failed:{failed.kind.value}" if failed else "reply_off_format"
