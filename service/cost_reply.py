"""What an answer cost, in the public contract: samples, tokens, calls, time."""

from pydantic import BaseModel


class SampleCounts(BaseModel):
    """What became of the samples asked for: requested = finished + failed + cancelled.

    saved: of the cancelled ones, those that the stopping rule made unnecessary; the others ran out of time.
    """

    requested: int = 0
    finished: int = 0
    failed: int = 0
    cancelled: int = 0
    saved: int = 0
    unparsable: int = 0
    truncated: int = 0
    cut: int = 0


class Usage(BaseModel):
    """What the answer cost.

    `requested_tokens`: the most completion tokens that the samples asked for could have had. `saved_tokens`: what the
    cut samples would have had more, at a guess. `stop_saved_tokens`: an estimate, the saved samples times the mean
    length of those that came; what was already drawn of cancelled ones is not known and not taken off.
    """

    samples: SampleCounts = SampleCounts()
    requested_tokens: int = 0
    prompt_tokens: int = 0
    completion_tokens: int = 0
    aggregation_calls: int = 0
    saved_tokens: int = 0
    stop_saved_tokens: int = 0


class Timing(BaseModel):
    """Where the time went, in milliseconds: queue + sampling + aggregation = total.

    `queue_ms`: from the acceptance until a worker first took a job of the samples (what a sampler asked workers for
    before is in it). `sampling_ms`: from there until the last sample that was waited for. `aggregation_ms`: from there
    to the verdict; `calls_ms` of it went by in waiting for calls to a model. An answer without a verdict (cancelled,
    failed) has its total alone. One that another gateway took over counts from its acceptance by the first one.
    """

    queue_ms: float = 0.0
    sampling_ms: float = 0.0
    aggregation_ms: float = 0.0
    calls_ms: float = 0.0
    total_ms: float = 0.0
