"""The plan: everything decided about a request before the first sample is drawn."""

import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeVar

from pydantic import BaseModel, ValidationError

from service.aggregators import AGGREGATORS
from service.aggregators.base import Aggregator
from service.answer_types import ANSWER_TYPES
from service.answer_types.base import AnswerType
from service.candidates import Task
from service.catalog import Pool
from service.contract import AnswerRequest, Choice, Named
from service.errors import BadRequest, CapExceeded
from service.registry import Plugin, Registry
from service.samplers import SAMPLERS
from service.samplers.base import Sampler
from service.settings import Settings
from service.stopping import STOPPING_RULES
from service.stopping.base import StoppingRule
from workers.wire.job_kinds import serves
from workers.wire.messages import Message, Sampling

P = TypeVar("P", bound=Plugin)


@dataclass(frozen=True, slots=True)
class Plan:
    """The waves, seeds and methods of one answer."""

    answer_id: str
    model: str
    task: Task
    messages: tuple[Message, ...]
    question_id: str | None
    n: int
    sampling: Sampling
    seed: int
    sampler: Sampler
    answer_type: AnswerType
    stop: StoppingRule
    aggregator: Aggregator
    budget_s: float
    quorum: int
    templates: Mapping[str, str]
    warnings: tuple[str, ...] = ()


def make_plan(request: AnswerRequest, pool: Pool, settings: Settings) -> Plan:
    """Checks a request against the settings' caps, the registries and the pool; raises BadRequest naming the field."""
    _check_caps(request, settings)
    aggregator = build(AGGREGATORS, request.aggregator, "aggregator")
    _check_pool(pool, aggregator)
    n, warnings = _affordable(request)
    # A seed that the caller did not give is drawn now and recorded, so that the answer can be drawn again.
    seed = request.sampling.seed if request.sampling.seed is not None else secrets.randbelow(2**31)
    return Plan(
        answer_id=f"ans_{secrets.token_hex(12)}",
        model=request.model,
        task=Task(question=request.asked, choices=request.choices),
        messages=request.prompt,
        question_id=request.question_id,
        n=n,
        sampling=_sampling(request, seed),
        seed=seed,
        sampler=build(SAMPLERS, request.sampler, "sampler"),
        answer_type=build(ANSWER_TYPES, request.answer_type, "answer_type"),
        stop=build(STOPPING_RULES, request.stop or default_stop(aggregator), "stop"),
        aggregator=aggregator,
        budget_s=request.budget.seconds,
        quorum=request.quorum,
        templates=settings.templates,
        warnings=warnings,
    )


def _check_pool(pool: Pool, aggregator: Aggregator) -> None:
    """Refuses what the pool's workers cannot supply; of a pool without a worker nothing is known yet."""
    if pool.provides is None:
        return
    if not serves(pool.provides, "sample"):
        kinds = ", ".join(sorted(pool.provides))
        raise BadRequest(f"{pool.model} answers no questions, it only scores texts: {kinds}", field="model")
    missing = aggregator.needs - pool.provides
    if missing:
        names = ", ".join(sorted(missing))
        raise BadRequest(f"{aggregator.name} needs what {pool.model} does not supply: {names}", field="aggregator")


def default_stop(aggregator: Aggregator) -> str:
    """The stopping rule where the request names none: `lead` where it loses nothing."""
    return "lead" if aggregator.counts_votes else "none"


def build(registry: Registry[P], named: Named, field: str) -> P:
    """The plug-in that `named` names, made with its checked options."""
    name, raw = (named.name, named.options) if isinstance(named, Choice) else (named, {})
    if name not in registry:
        raise BadRequest(f"{field}: no {name!r}; there are: {', '.join(sorted(registry))}", field=field)
    plugin = registry[name]
    return registry.make(name, _options(plugin, raw, field))


def _options(plugin: type[P], raw: dict[str, object], field: str) -> BaseModel:
    try:
        return plugin.Options.model_validate(raw)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        where = ".".join([field, *(str(part) for part in first["loc"])])
        raise BadRequest(f"{where}: {first['msg']}", field=where) from None


def _check_caps(request: AnswerRequest, settings: Settings) -> None:
    sampling = request.sampling
    caps = (
        ("n", request.n, settings.max_n),
        ("sampling.max_tokens", request.n * sampling.max_tokens, settings.max_total_tokens),
        ("messages", len(request.prompt), settings.max_messages),
        ("messages", sum(len(m.content) for m in request.prompt), settings.max_prompt_chars),
        ("budget.seconds", request.budget.seconds, settings.max_budget_s),
    )
    names = ("n", "n x max_tokens", "number of messages", "characters of the messages", "budget.seconds")
    for (field, value, cap), name in zip(caps, names, strict=True):
        if value > cap:
            raise CapExceeded(f"{name} is {value}; at most {cap} are served here", field=field)


def _affordable(request: AnswerRequest) -> tuple[int, tuple[str, ...]]:
    """How many samples surely fit into the budget of tokens."""
    if request.budget.tokens is None:
        return request.n, ()
    fitting = request.budget.tokens // request.sampling.max_tokens
    if fitting < request.quorum:
        raise BadRequest(
            f"budget.tokens holds {fitting} samples of max_tokens {request.sampling.max_tokens}, "
            f"fewer than the quorum of {request.quorum}",
            field="budget.tokens",
        )
    if fitting >= request.n:
        return request.n, ()
    return fitting, (f"budget.tokens: {fitting} of {request.n} samples fit",)


def _sampling(request: AnswerRequest, seed: int) -> Sampling:
    asked = request.sampling
    return Sampling(
        temperature=asked.temperature,
        top_p=asked.top_p,
        top_k=asked.top_k,
        min_p=asked.min_p,
        max_tokens=asked.max_tokens,
        stop=asked.stop or (),
        seed=seed,
    )
