"""The error tree. Each class is something a caller would want to catch, and carries its HTTP status.

ConclaveError
    BadRequest (422)              the request breaks the contract; `field` names where
        CapExceeded (422)         a cap of the settings
        NotServed (422)           no worker of the model can draw what is asked for, with the reason of one
        ContextOverflow (422)     the prompt, with its completion, does not fit into the model's context
    UnknownModel (404)            no worker has ever served this model
    UnknownAnswer (404)           no such answer, or its retention is over
    Conflict (409)                the answer is in a state that does not allow this
    BodyTooLarge (413)
    Busy (429)                    the queue has no room for the request now; `retry-after` is by the measured pace
        PoolFull                  a model has as many samples to draw as it may
        ShareSpent                the caller has its share of them
    Overloaded (503)              too many answers in progress
        NothingServes             a model's queue is full, and no worker lives that could empty it
    QueueUnavailable (503)        Redis does not answer
        StateLost (503)           Redis has lost what it knew of an answer in progress
    Recorded                      an answer failed before, perhaps in another gateway: its error again
    KeyReused (422)               an Idempotency-Key that came with another request before
    SamplesFailed (502)           every sample failed, with the reasons
    DeadlineExceeded (504)        fewer usable samples than the quorum when time was up

An expected failure always travels as one of these; anything else is a bug and becomes a bare 500.
"""

from collections.abc import Mapping


class ConclaveError(Exception):
    """Superclass of all errors that a caller can meet. `code` is stable and machine-readable."""

    status = 500
    code = "internal_error"
    title = "Internal error"

    def __init__(self, detail: str, *, field: str | None = None, extra: Mapping[str, object] | None = None) -> None:
        super().__init__(detail)
        self.detail = detail
        self.field = field
        self.extra = dict(extra or {})
        self.headers: dict[str, str] = {}


class BadRequest(ConclaveError):
    """The request breaks the contract."""

    status, code, title = 422, "invalid_request", "The request is not valid"


class CapExceeded(BadRequest):
    """A value is above a cap of this deployment's settings."""

    code, title = "cap_exceeded", "A limit of this deployment is exceeded"


class NotServed(BadRequest):
    """No worker of the model can draw what is asked for."""

    code, title = "not_served", "The model's workers cannot serve this request"


class ContextOverflow(BadRequest):
    """The prompt, with its completion, does not fit into the model's context."""

    code, title = "context_overflow", "The prompt is too long for the model"


class UnknownModel(ConclaveError):
    """No worker has ever served this model."""

    status, code, title = 404, "model_not_found", "No such model"


class UnknownAnswer(ConclaveError):
    """No such answer, or its retention is over."""

    status, code, title = 404, "answer_not_found", "No such answer"


class Conflict(ConclaveError):
    """The answer's state does not allow this."""

    status, code, title = 409, "conflict", "Not possible in this state"


class BodyTooLarge(ConclaveError):
    """The body is larger than the cap."""

    status, code, title = 413, "body_too_large", "The request body is too large"


class Overloaded(ConclaveError):
    """Too many answers are in progress."""

    status, code, title = 503, "overloaded", "Too many answers are in progress"

    def __init__(self, detail: str) -> None:
        super().__init__(detail)
        self.headers = {"retry-after": "1"}


class NothingServes(Overloaded):
    """The queue of a model is full, and no worker of it lives."""

    code, title = "nothing_serves", "No worker serves the model"

    def __init__(self, detail: str, *, field: str | None = None) -> None:
        super().__init__(detail)
        self.field = field
        self.headers = {"retry-after": "5"}


class Busy(ConclaveError):
    """The queue has no room for the request now."""

    status, code, title = 429, "busy", "No room for the request now"


class PoolFull(Busy):
    """As many samples of the model are queued or being drawn as may be."""

    code, title = "pool_full", "The model's queue is full"


class ShareSpent(Busy):
    """The caller's answers hold its share of the model's queue."""

    code, title = "share_spent", "The caller's share of the model's queue is taken"


class QueueUnavailable(ConclaveError):
    """Redis does not answer, or refuses to write."""

    status, code, title = 503, "queue_unavailable", "The queue is unavailable"

    def __init__(self, detail: str) -> None:
        super().__init__(detail)
        self.headers = {"retry-after": "2"}


class StateLost(QueueUnavailable):
    """Redis has lost what it knew of an answer in progress: it was flushed, or started again without its data."""

    code, title = "state_lost", "The answer's state was lost"


class Recorded(ConclaveError):
    """The answer failed, perhaps in another gateway; the error is the one that was recorded."""

    def __init__(
        self, detail: str, *, status: int, code: str, title: str, field: str | None, failures: Mapping[str, int] | None
    ) -> None:
        super().__init__(detail, field=field, extra={"failures": dict(failures)} if failures else None)
        self.status, self.code, self.title = status, code, title
        self.headers = {"retry-after": "1"} if status in (429, 503) else {}


class KeyReused(ConclaveError):
    """The Idempotency-Key came with another request before."""

    status, code, title = 422, "idempotency_key_reused", "The idempotency key belongs to another request"


class SamplesFailed(ConclaveError):
    """Every sample failed; `extra["failures"]` says how often for which reason."""

    status, code, title = 502, "samples_failed", "No sample could be drawn"


class DeadlineExceeded(ConclaveError):
    """Fewer usable samples than the quorum when the time was up."""

    status, code, title = 504, "deadline_exceeded", "Too few samples in time"
