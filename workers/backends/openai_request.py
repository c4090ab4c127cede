"""A job as a request to an OpenAI-compatible upstream, and why some jobs cannot be one. No network here."""

from typing import Any

from workers.backends.openai_dialects import LARGEST_BIAS, Dialect, Seeds
from workers.wire.messages import Job


def objection(job: Job, dialect: Dialect) -> str:
    """Why an upstream of this dialect cannot serve the job, for people; empty if it can."""
    return _of_any(job) or _of_dialect(job, dialect)


def request(job: Job, dialect: Dialect, model: str, n: int, seed: int | None) -> dict[str, Any]:
    """The request's body for `n` choices. What the job does not set is not sent: there the upstream's default holds."""
    sampling = job.sampling
    messages = [{"role": message.role, "content": message.content} for message in job.messages]
    body: dict[str, Any] = {
        "model": model,
        "messages": messages,
        "temperature": sampling.temperature,
        "top_p": sampling.top_p,
        dialect.length: sampling.max_tokens,
    }
    if sampling.top_p == 1.0 and not dialect.top_p_1:
        del body["top_p"]
    if job.prefix:
        messages.append({"role": "assistant", "content": job.prefix})
        body |= {"continue_final_message": True, "add_generation_prompt": False}
    optional = {
        "n": n if n > 1 else None,
        "seed": None if dialect.seeds is Seeds.REFUSED else seed,
        "stop": list(sampling.stop) or None,
        "top_k": sampling.top_k,
        "min_p": sampling.min_p,
        "logit_bias": {str(token): bias for token, bias in sampling.logit_bias} or None,
        "logprobs": dialect.logprobs or None,
    }
    return body | {name: value for name, value in optional.items() if value is not None}


def _of_any(job: Job) -> str:
    """What no upstream does: it answers with whole completions, and shows no logits on the way."""
    sampling = job.sampling
    asked = {
        f"a job of the kind {job.kind}": job.kind != "sample",
        "options": bool(sampling.options),
        "a confidence cut": sampling.cut is not None,
        "caution": sampling.caution is not None,
        "probes": sampling.probe is not None,
        "end_at_answer": sampling.end_at_answer,
        f"a logit bias beyond {LARGEST_BIAS:g}": any(abs(bias) > LARGEST_BIAS for _, bias in sampling.logit_bias),
    }
    return _said(asked, "no OpenAI-compatible upstream can serve")


def _of_dialect(job: Job, dialect: Dialect) -> str:
    sampling = job.sampling
    asked = {
        "a prefix": bool(job.prefix) and not dialect.continues,
        "logit_bias": bool(sampling.logit_bias) and "logit_bias" not in dialect.fields,
        "top_k": sampling.top_k is not None and "top_k" not in dialect.fields,
        "min_p": sampling.min_p is not None and "min_p" not in dialect.fields,
        f"more than {dialect.stops} stop strings": dialect.stops is not None and len(sampling.stop) > dialect.stops,
    }
    return _said(asked, "the upstream cannot serve")


def _said(asked: dict[str, bool], beginning: str) -> str:
    named = [name for name, there in asked.items() if there]
    return f"{beginning} {', '.join(named)}" if named else ""
