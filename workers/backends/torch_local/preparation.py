"""From an order to work: its prompt as tokens, its settings within the model's context, or a typed refusal."""

from workers.backends.base import BackendError
from workers.backends.torch_local.cuts import Bar
from workers.backends.torch_local.model import LoadedModel
from workers.backends.torch_local.rows import Order, Work
from workers.wire.messages import FailureKind


def prepare(model: LoadedModel, order: Order) -> Work:
    """The work of an order. Raises BackendError with a kind where the model cannot serve it."""
    job, sampling = order.job, order.job.sampling
    if job.kind != "sample":
        raise BackendError(FailureKind.UNSUPPORTED, f"a model that draws completions does no {job.kind}")
    # Options are likely or not behind the very words; what is drawn goes on behind the space, which is then its own.
    lead = "" if sampling.options else model.space_after(job.prefix)
    ids = tuple(model.prompt_ids(job.messages, job.prefix + lead))
    if not ids:
        raise BackendError(FailureKind.UNSUPPORTED, "the prompt has no tokens")
    if sampling.options and not all(map(model.ids, sampling.options)):
        raise BackendError(FailureKind.UNSUPPORTED, "an option has no tokens")
    if sampling.probe is not None and sampling.caution is not None:
        raise BackendError(FailureKind.UNSUPPORTED, "probes and caution do not go together")
    beyond = [token for token, _ in sampling.logit_bias if not 0 <= token < model.vocabulary]
    if beyond:
        raise BackendError(FailureKind.UNSUPPORTED, f"logit_bias: the model has no token {beyond[0]}")
    longest_option = max((len(model.ids(option)) for option in sampling.options), default=0)
    if model.max_positions is not None:
        room = model.max_positions - len(ids) - max(longest_option - 1, 0)
        if room < 1:
            detail = f"prompt of {len(ids)} tokens, context of {model.max_positions}"
            raise BackendError(FailureKind.CONTEXT_OVERFLOW, detail)
        sampling = sampling.model_copy(update={"max_tokens": min(sampling.max_tokens, room)})
    bar = Bar(sampling.cut) if sampling.cut is not None else None
    return Work(order, ids, sampling, list(order.indices), bar, longest_option, lead)
