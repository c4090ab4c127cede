"""Choosing among given strings by their likelihood: nothing is drawn but which of them it is."""

from collections.abc import Iterator, Sequence

import torch

from workers.backends.torch_local.memory import Store
from workers.backends.torch_local.model import LoadedModel
from workers.backends.torch_local.passes import Reading
from workers.backends.torch_local.rows import Work
from workers.backends.torch_local.sampling import Uniforms, pick
from workers.wire.messages import Sample


def score_options(model: LoadedModel, work: Work) -> Iterator[Sample]:
    """All waiting samples of a work whose prompt is read: each one option, with the logprobs of all of them."""
    options = work.sampling.options
    encoded = [model.ids(option) for option in options]
    logprobs = _likelihoods(model, work, encoded)
    for index in work.waiting:
        seed = work.order.seed + index
        chosen = pick(logprobs, work.sampling.temperature, Uniforms(seed).next())
        yield Sample(
            index=index,
            text=options[chosen],
            seed=seed,
            completion_tokens=len(encoded[chosen]),
            option_logprobs=tuple(logprobs),
        )


def _likelihoods(model: LoadedModel, work: Work, encoded: Sequence[Sequence[int]]) -> list[float]:
    """The natural log of each option's likelihood after the prompt, in float64."""
    prompt = work.prompt
    if prompt is None or prompt.shelf is None:
        raise RuntimeError("the prompt is not read")
    first = prompt.logits[0].double().log_softmax(dim=-1)
    longest = max(map(len, encoded))
    store: Store | None = None
    if longest > 1:
        store = model.cache.blank(1, prompt.tokens + longest - 1)
        store.copy_from(prompt.shelf.store, 0, prompt.place, prompt.tokens)
    found = []
    for ids in encoded:
        logprob = float(first[ids[0]])
        if store is not None and len(ids) > 1:
            logprob += _continued(model, store, prompt.tokens, ids)
        found.append(logprob)
    return found


def _continued(model: LoadedModel, store: Store, start: int, ids: Sequence[int]) -> float:
    """The logprob of all but the first of `ids`, after the first."""
    given = torch.tensor([ids[:-1]], device=model.device)
    positions = torch.arange(start, start + len(ids) - 1, device=model.device).unsqueeze(0)
    logits = model.forward(given, positions, Reading(store, start), keep=len(ids) - 1)[0].double()
    wanted = torch.tensor(ids[1:], device=model.device).unsqueeze(1)
    return float(logits.log_softmax(dim=-1).gather(1, wanted).sum())
