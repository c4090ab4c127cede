"""The plan: everything decided about a request before the first sample is drawn."""

import dataclasses
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeVar

from pydantic import BaseModel, ValidationError
from pydantic_core import to_json

from service.aggregators import AGGREGATORS
from service.aggregators.base import Aggregator, samples_wanted, settled_by
from service.answer_types import ANSWER_TYPES
from service.answer_types.base import AnswerType, Meaning, meaning_of
from service.candidates import Candidate, Task
from service.catalog import Pool
from service.contract import AnswerRequest, Choice, Named
from service.disagreement_reply import Explain
from service.draws import Draw
from service.errors import BadRequest, CapExceeded
from service.mixing import ALONE, Mix, mix_of
from service.pool_fit import check_kind, check_pool, check_stop, joined, unheeded
from service.registry import Plugin, Registry
from service.sampler_fit import at_odds, check_sampler, default_sampler
from service.samplers import SAMPLERS
from service.samplers.base import Sampler, Shelf, Wave
from service.sampling_request import SamplingRequest
from service.settings import Settings
from service.stated import asking
from service.stopping import STOPPING_RULES
from service.stopping.base import (
    StoppingRule,
    cut_of,
    is_closed,
    is_shadow,
    takes_blocks,
)
from service.wording import explain_best
from workers.wire.messages import ConfidenceCut, Message, Provides, Sampling

P = TypeVar("P", bound=Plugin)


@dataclass(frozen=True, slots=True)
class Plan:
    """The waves, seeds and methods of one answer. `mix`: which model each sample is of, where there are several."""

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
    budget_tokens: int | None
    quorum: int
    templates: Mapping[str, str]
    mix: Mix = ALONE
    warnings: tuple[str, ...] = ()
    shelf: Shelf = dataclasses.field(default_factory=Shelf)
    vectors: tuple[tuple[float, ...], ...] = ()
    provides: frozenset[Provides] = frozenset()
    state_confidence: bool = False
    explain: Explain | None = None

    @property
    def wave(self) -> int | None:
        """How many samples are launched at a time: the smaller wave of the stopping rule and the sampler; None: all.

        A rule that is only measured has no say in it.
        """
        rule = None if is_shadow(self.stop) else self.stop.wave
        return min((wave for wave in (rule, self.sampler.wave) if wave is not None), default=None)

    @property
    def lead(self) -> bool:
        """True if sampling also ends where the rest cannot change the winner: for counting votes, unless turned off."""
        return self.aggregator.counts_votes and self.stop.name != "none" and not is_shadow(self.stop)

    @property
    def ahead(self) -> float:
        """By which share of all samples a counting vote must lead, beyond what may still come, to be settled."""
        return settled_by(self.aggregator, self.provides)

    def draws(self, indices: range, earlier: tuple[Candidate, ...] = ()) -> tuple[Draw, ...]:
        """What each sample of a wave is drawn from, given the candidates of the waves before."""
        model, skipped = self.mix.model, self.mix.skipped
        plain = tuple(Draw(model(i) or self.model, self.messages, self.sampling, skipped=skipped(i)) for i in indices)
        wave = Wave(self.task, self.seed, tuple(indices), plain, earlier, self.shelf, self.vectors)
        drawn = self.sampler.draws(wave)
        if not self.state_confidence:
            return drawn
        return tuple(dataclasses.replace(draw, messages=asking(draw.messages)) for draw in drawn)

    def shown(self, index: int) -> tuple[int, ...] | None:
        """How sample `index` was shown the options; None where they stood as the caller gave them."""
        return self.sampler.shown(self.task, self.seed, index)


def sized(request: AnswerRequest, settings: Settings) -> AnswerRequest:
    """The request with as many samples as its aggregator wants, where it says none and the aggregator has a wish."""
    if "n" in request.model_fields_set:
        return request
    wish = samples_wanted(build(AGGREGATORS, request.aggregator, "aggregator"))
    return request if wish is None else request.model_copy(update={"n": min(wish, settings.max_n)})


def new_answer_id() -> str:
    """An id that nobody can guess."""
    return f"ans_{secrets.token_hex(12)}"


def make_plan(
    request: AnswerRequest,
    pool: Pool,
    settings: Settings,
    comparing: Pool | None = None,
    *,
    answer_id: str | None = None,
    seed: int | None = None,
    members: tuple[Pool, ...] = (),
) -> Plan:
    """Checks a request against the settings' caps, the registries and the pool; raises BadRequest naming the field.

    `members` are the pools of the request's members; then `pool` is that which aggregators ask. `comparing` is the
    pool that `meaning` names; None where no worker serves it. With the `answer_id` and the `seed` of an answer that was
    planned before, the plan is that one's again.
    """
    _check_caps(request, settings)
    answer_type = build(ANSWER_TYPES, request.answer_type, "answer_type")
    check_meaning(meaning_of(answer_type), comparing)
    aggregator = build(AGGREGATORS, request.aggregator, "aggregator")
    stop = build(STOPPING_RULES, request.stop or default_stop(aggregator), "stop")
    named = request.sampler or default_sampler(request, joined(pool, members), answer_type, aggregator, stop)
    sampler = build(SAMPLERS, named, "sampler")
    for place, each in enumerate(members):
        check_pool(each, aggregator, stop, sampler, request.sampling, f"members.{place}.model")
    if members:
        check_kind(pool, "model")
    else:
        check_pool(pool, aggregator, stop, sampler, request.sampling)
    check_stop(stop, sampler, request)
    task, shelf = Task(question=request.asked, choices=request.choices), Shelf(settings.templates, settings.examples)
    check_sampler(sampler, answer_type, task, shelf, request, settings)
    n, warnings = _affordable(request)
    # A seed that the caller did not give is drawn now and recorded, so that the answer can be drawn again.
    asked = request.sampling.seed if seed is None else seed
    seed = secrets.randbelow(2**31) if asked is None else asked
    return Plan(
        answer_id=answer_id or new_answer_id(),
        model=request.model,
        task=task,
        messages=request.prompt,
        question_id=request.question_id,
        n=n,
        sampling=_sampling(request.sampling, seed, cut_of(stop), request.choices if is_closed(stop) else None),
        seed=seed,
        sampler=sampler,
        answer_type=answer_type,
        stop=stop,
        aggregator=aggregator,
        budget_s=request.budget.seconds,
        budget_tokens=request.budget.tokens,
        quorum=request.quorum,
        templates=settings.templates,
        mix=mix_of(request.members, request.mix, seed, one_by_one=takes_blocks(stop)),
        warnings=(
            *warnings,
            *unheeded(stop, request),
            *_idle_cut(cut_of(stop), n, request.sampling.max_tokens),
            *at_odds(sampler, aggregator, stop, request),
        ),
        shelf=shelf,
        provides=pool.provides or frozenset(),
        state_confidence=request.sampling.state_confidence,
        explain=request.explain,
    )


def meaning(request: AnswerRequest) -> Meaning | None:
    """By what a pool of workers is to compare the request's answers; None where none is asked."""
    return meaning_of(build(ANSWER_TYPES, request.answer_type, "answer_type"))


def check_meaning(asked: Meaning | None, pool: Pool | None) -> None:
    """Refuses a comparison by meaning that the pool cannot make; of a pool without a worker nothing is known yet."""
    if asked is None:
        return
    if pool is None:
        detail = f"comparing by {asked.by} needs the workers of {asked.model!r}, and there are none to ask here"
        raise BadRequest(f"answer_type.model: {detail}", field="answer_type.model")
    need = Provides.EMBED if asked.by == "embeddings" else Provides.ENTAIL
    if pool.provides is not None and need not in pool.provides:
        detail = f"answer_type.model: comparing by {asked.by} needs what {asked.model} does not supply: {need}"
        raise BadRequest(detail, field="answer_type.model")


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
    """Read as JSON and strictly: true and "8" are no numbers, 8.0 is a whole one."""
    try:
        return plugin.Options.model_validate_json(to_json(_whole(raw), inf_nan_mode="constants"), strict=True)
    except ValidationError as error:
        place, reason = explain_best(error.errors(include_url=False, include_input=False), raw)
        where = f"{field}.{place}" if place else field
        raise BadRequest(f"{where}: {reason}", field=where) from None


def _whole(value: object) -> object:
    """The value with numbers such as 8.0 written as 8, which JSON holds to be the same."""
    if isinstance(value, dict):
        return {name: _whole(inner) for name, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_whole(inner) for inner in value]
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _check_caps(request: AnswerRequest, settings: Settings) -> None:
    sampling = request.sampling
    caps = (
        ("n", request.n, settings.max_n),
        ("sampling.max_tokens", request.n * sampling.max_tokens, settings.max_total_tokens),
        (request.asked_in, len(request.prompt), settings.max_messages),
        (request.asked_in, sum(len(m.content) for m in request.prompt), settings.max_prompt_chars),
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


def _sampling(
    asked: SamplingRequest, seed: int, cut: ConfidenceCut | None, options: tuple[str, ...] | None
) -> Sampling:
    biases = asked.logit_bias or {}
    return Sampling(
        temperature=asked.temperature,
        top_p=asked.top_p,
        top_k=asked.top_k,
        min_p=asked.min_p,
        max_tokens=asked.max_tokens,
        stop=asked.stop or (),
        seed=seed,
        logit_bias=tuple(sorted((int(token), bias) for token, bias in biases.items())),
        options=options or (),
        end_at_answer=asked.end_at_answer,
        cut=cut,
        caution=asked.caution,
        probe=asked.probe,
    )


def _idle_cut(cut: ConfidenceCut | None, n: int, max_tokens: int) -> tuple[str, ...]:
    """Why the stopping rule can cut no sample of this plan, if so."""
    if cut is None:
        return ()
    reasons = {
        f"all {n} samples belong to the warm-up of {cut.warmup}": cut.bar is None and n <= cut.warmup,
        f"max_tokens {max_tokens} does not exceed the window of {cut.window} tokens": max_tokens <= cut.window,
    }
    return tuple(f"stop: no sample can be cut: {reason}" for reason, so in reasons.items() if so)
