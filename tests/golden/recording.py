"""The exact prompts of every asking method for one fixed panel, as text."""

import asyncio
from collections.abc import Mapping
from pathlib import Path

from service.aggregators.checklist import Checklist
from tests.scripted import ASKING, GOOD, TEXTS, Told, make, panel
from workers.wire.messages import Sampling

FOLDER = Path(__file__).parent
CASES: Mapping[str, tuple[str, Mapping[str, object]]] = {name: (name, {}) for name in ASKING} | {
    "genrm-likelihood": ("genrm", {"likelihood": True, "verifications": 1}),
    "self_agreement-cut": ("self_agreement", {}),
    "usc-orders": ("usc", {"orders": 2}),
}
"""By the name of the file the method and its options; the samples of "-cut" are too long to be shown in full."""

LONG = tuple(f"{' '.join(f'Line {i} is read.' for i in range(60))} {text}" for text in TEXTS)


def written(case: str) -> str:
    """All that a method asks in a case, call by call."""
    name, options = CASES[case]
    Checklist._kept.clear()
    told = Told(GOOD[name])
    cut = case.endswith("-cut")
    chosen = {**options, "max_shown_chars": 3_000} if cut else options
    asyncio.run(make(name, chosen).aggregate(panel(LONG if cut else TEXTS), told))
    asked = zip(told.asked, told.samplings, told.counts, told.prefixes, strict=True)
    blocks = [
        f"===== {number}: {_how(sampling)}, {count} of it\n"
        + "\n".join(f"--- {message.role}\n{message.content}" for message in messages)
        + (f"\n--- the reply begins\n{prefix}" if prefix else "")
        for number, (messages, sampling, count, prefix) in enumerate(asked, start=1)
    ]
    return "\n".join([*blocks, ""])


def _how(sampling: Sampling) -> str:
    """What of the sampling is not left out."""
    fields = sampling.model_dump(exclude_defaults=True) | {"temperature": sampling.temperature}
    return ", ".join(f"{name} {value}" for name, value in sorted(fields.items()))
