"""Whether a sampler suits the other methods of a plan: which is the default, what is refused, what is said."""

from service.aggregators.base import Aggregator
from service.answer_types.base import AnswerType, reads_shown
from service.candidates import Task
from service.catalog import Catalog, Pool
from service.contract import AnswerRequest
from service.errors import BadRequest, CapExceeded, UnknownModel
from service.samplers import SAMPLERS
from service.samplers.base import Sampler, Shelf
from service.settings import Settings
from service.stopping.base import StoppingRule, cut_of
from workers.wire.job_kinds import serves


async def check_embedder(sampler: Sampler, catalog: Catalog) -> None:
    """Refuses a sampler that compares texts by a pool that there is not, or that does not embed texts."""
    if sampler.embedder is None:
        return
    try:
        pool = await catalog.pool(sampler.embedder)
    except UnknownModel as error:
        raise UnknownModel(error.detail, field="sampler.model") from None
    if pool.provides is not None and not serves(pool.provides, "embed"):
        raise BadRequest(f"sampler.model: {pool.model} does not embed texts", field="sampler.model")


def default_sampler(
    request: AnswerRequest, pool: Pool, answer_type: AnswerType, aggregator: Aggregator, stop: StoppingRule
) -> str:
    """The sampler where the request names none: `choice_shuffle` where it has choices and nothing speaks against it.

    What would: an answer type that does not read letters as they were shown, an aggregator that shows samples to a
    model, a pool that reads no prompts (recorded samples), a rule that sets its bar by the first samples of a job, and
    an earlier turn that has all the choices in it, perhaps by letters of its own.
    """
    shuffled = "choice_shuffle"
    fits = (
        request.choices is not None
        and reads_shown(answer_type)
        and not _shows_samples(aggregator, request.n)
        and not _sets_bars(stop)
        and not _said_before(request)
        and (pool.provides is None or SAMPLERS[shuffled].needs <= pool.provides)
    )
    return shuffled if fits else "iid"


def _shows_samples(aggregator: Aggregator, n: int) -> bool:
    """True if the aggregator may show samples of a multiple-choice question to a model; one that counts does not."""
    return aggregator.max_calls(n) > 0 and not aggregator.counts_votes


def _said_before(request: AnswerRequest) -> bool:
    """True if a turn before the question has every choice in it."""
    choices = [choice.strip().casefold() for choice in request.choices or ()]
    earlier = (message.content.casefold() for message in request.prompt[:-1])
    return bool(choices) and any(all(choice in content for choice in choices) for content in earlier)


def _sets_bars(stop: StoppingRule) -> bool:
    """True if the first samples of each job set the bar that cuts its others."""
    cut = cut_of(stop)
    return cut is not None and cut.bar is None


def check_sampler(
    sampler: Sampler,
    answer_type: AnswerType,
    task: Task,
    shelf: Shelf,
    request: AnswerRequest,
    settings: Settings,
) -> None:
    """Refuses a sampler whose samples the answer type would read wrongly, or whose prompts could become too long."""
    if sampler.shuffles and not reads_shown(answer_type):
        raise BadRequest(
            f"{sampler.name} shows options in another order, and {answer_type.name} does not read letters so",
            field="sampler",
        )
    chars = sum(len(message.content) for message in request.prompt) + sampler.grows(task, shelf)
    if chars > settings.max_prompt_chars:
        raise CapExceeded(
            f"the messages with what {sampler.name} adds may have {chars} characters; "
            f"at most {settings.max_prompt_chars} are served here",
            field="sampler",
        )


def at_odds(sampler: Sampler, aggregator: Aggregator, stop: StoppingRule, request: AnswerRequest) -> tuple[str, ...]:
    """What the sampler takes from the other methods of the plan, if anything."""
    said = []
    if sampler.shuffles and _shows_samples(aggregator, request.n):
        said.append(f"{aggregator.name}: the samples shown to the model speak of the options by letters of their own")
    if sampler.shuffles and _said_before(request):
        said.append("an earlier turn has the choices too, in the order in which it stands")
    if sampler.name != "iid" and _sets_bars(stop):
        said.append(f"{stop.name}: each prompt of {sampler.name} has a bar of its own, set by its own first samples")
    return tuple(f"sampler: {each}" for each in said)
