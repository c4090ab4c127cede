"""Whether the pools of workers and the stopping rule can do what a request asks of them."""

from service.aggregators.base import Aggregator
from service.catalog import Catalog, Pool
from service.contract import AnswerRequest
from service.errors import BadRequest, UnknownModel
from service.samplers.base import Sampler
from service.sampling_request import SamplingRequest
from service.stopping.base import (
    StoppingRule,
    is_closed,
    needs_independence,
    needs_of,
    seconds_of,
    takes_blocks,
)
from workers.wire.job_kinds import serves
from workers.wire.messages import Provides

_SPECIAL = {
    "logit_bias": Provides.LOGIT_BIAS,
    "end_at_answer": Provides.END_AT_ANSWER,
    "caution": Provides.CAUTIOUS,
    "probe": Provides.PROBE,
}
"""Fields of `sampling` that not all workers heed, and what those provide that do."""


async def member_pools(request: AnswerRequest, catalog: Catalog) -> tuple[Pool, ...]:
    """One pool a member, in the request's order; () without members. Raises BadRequest naming an unknown member."""
    pools = []
    for place, member in enumerate(request.members or ()):
        try:
            pools.append(await catalog.pool(member.model))
        except UnknownModel as error:
            raise BadRequest(error.detail, field=f"members.{place}.model") from None
    return tuple(pools)


def joined(pool: Pool, members: tuple[Pool, ...]) -> Pool:
    """What supplies only what every member supplies; the pool itself where there are no members."""
    return Pool(pool.model, tuple(card for each in members for card in each.cards)) if members else pool


def asked_pools(aggregator: Aggregator) -> dict[str, str]:
    """The pools that an aggregator asks instead of the answer's own, by the option that names each."""
    options = getattr(aggregator, "options", None)
    by_option = {name: getattr(options, name, None) for name in ("judge_model", "reward_model")}
    named = {f"aggregator.{name}": model for name, model in by_option.items() if model is not None}
    return named | {f"aggregator.models.{i}": name for i, name in enumerate(getattr(options, "models", ()))}


async def check_asked(aggregator: Aggregator, catalog: Catalog) -> None:
    """Refuses an aggregator's judge that nobody serves, or whose workers cannot supply what it needs."""
    for field, model in asked_pools(aggregator).items():
        pool = await catalog.find(model)
        if pool is None:
            raise BadRequest(f"no worker serves the model {model!r}", field=field)
        if field == "aggregator.reward_model":
            check_rewards(pool, field)
            continue
        check_kind(pool, field)
        if pool.provides is not None and (missing := aggregator.needs - pool.provides):
            names = ", ".join(sorted(missing))
            raise BadRequest(f"{aggregator.name} needs what {model} does not supply: {names}", field=field)


def check_rewards(pool: Pool, field: str) -> None:
    """Refuses a pool that does not score how good texts are as answers."""
    if pool.provides is not None and not serves(pool.provides, "reward"):
        raise BadRequest(f"{pool.model} scores no answers: it serves no reward model", field=field)


def check_kind(pool: Pool, field: str) -> None:
    """Refuses a pool that answers no questions."""
    if pool.provides is not None and not serves(pool.provides, "sample"):
        kinds = ", ".join(sorted(pool.provides))
        raise BadRequest(f"{pool.model} answers no questions, it only scores texts: {kinds}", field=field)


def check_pool(
    pool: Pool,
    aggregator: Aggregator,
    stop: StoppingRule,
    sampler: Sampler,
    sampling: SamplingRequest,
    member: str | None = None,
) -> None:
    """Refuses what the pool's workers cannot supply; of a pool without a worker nothing is known yet.

    `member` is the field that names the pool where it is one of several; then it is that one which does not fit.
    """
    check_kind(pool, member or "model")
    if pool.provides is None:
        return
    stated = {Provides.STATED_CONFIDENCE} if sampling.state_confidence else set()
    asked = [
        ("aggregator", aggregator.name, frozenset() if asked_pools(aggregator) else aggregator.needs - stated),
        ("stop", stop.name, needs_of(stop)),
        ("sampler", sampler.name, sampler.needs),
        *((f"sampling.{name}", name, {need}) for name, need in _SPECIAL.items() if getattr(sampling, name)),
    ]
    for field, who, needs in asked:
        if missing := needs - pool.provides:
            names = ", ".join(sorted(missing))
            raise BadRequest(f"{who} needs what {pool.model} does not supply: {names}", field=member or field)


def check_stop(stop: StoppingRule, sampler: Sampler, request: AnswerRequest) -> None:
    """Refuses a stopping rule that the request gives no sense to."""
    if needs_independence(stop) and not sampler.independent:
        raise BadRequest(f"{stop.name} needs independent draws, and those of {sampler.name} are not", field="stop")
    several = len(request.members or ()) > 1
    if needs_independence(stop) and several and request.mix != "random":
        raise BadRequest(f"{stop.name} needs independent draws: of several members, mix random", field="mix")
    if is_closed(stop) and request.choices is None:
        raise BadRequest(f"{stop.name} needs the closed set of answers: choices", field="stop")
    if takes_blocks(stop) and not request.members:
        raise BadRequest(f"{stop.name} goes from one model to the next: it needs members", field="stop")
    if takes_blocks(stop) and request.mix is not None:
        raise BadRequest(f"{stop.name} takes one member after the other: leave out mix", field="mix")
    seconds = seconds_of(stop)
    if seconds is not None and seconds >= request.budget.seconds:
        raise BadRequest(f"{stop.name}: {seconds:g} s is not within budget.seconds", field="stop")


def unheeded(stop: StoppingRule, request: AnswerRequest) -> tuple[str, ...]:
    """That the rule stops by votes which the verdict weighs, if so."""
    unequal = len({member.weight for member in request.members or ()}) > 1
    says = unequal and stop.name not in ("none", "lead") and seconds_of(stop) is None
    return (f"stop: {stop.name} counts votes, whatever the members weigh",) if says else ()
