"""How a text's vector is made of its tokens' vectors: as the folder's sentence-transformers files say."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch.nn.functional import normalize

_MODES = {
    "pooling_mode_mean_tokens": "mean",
    "pooling_mode_cls_token": "cls",
    "pooling_mode_max_tokens": "max",
    "pooling_mode_lasttoken": "last",
}


@dataclass(frozen=True, slots=True)
class Pooling:
    """`mode`: "mean", "cls" (the first token), "max" or "last", over the tokens that are no padding.

    `unit`: the vector is divided by its Euclidean length. `max_tokens`: the longest text that the folder allows.
    """

    mode: str = "mean"
    unit: bool = True
    max_tokens: int | None = None

    def __call__(self, hidden: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        """Vectors `[rows, width]` from `hidden` `[rows, tokens, width]`; `mask` `[rows, tokens]`: 0 is padding.

        Padding stands at the end of a row, and every row has a token.
        """
        padding = (mask == 0).unsqueeze(-1)
        if self.mode == "mean":
            vectors = hidden.masked_fill(padding, 0.0).sum(dim=1) / mask.sum(dim=1, keepdim=True)
        elif self.mode == "max":
            vectors = hidden.masked_fill(padding, -torch.inf).amax(dim=1)
        else:
            last = mask.sum(dim=1) - 1
            at = last if self.mode == "last" else torch.zeros_like(last)
            vectors = hidden[torch.arange(len(hidden), device=hidden.device), at]
        return normalize(vectors, dim=-1) if self.unit else vectors


def stated_pooling(folder: Path) -> Pooling:
    """What `modules.json` and the files it names say; the mean as a unit vector in a folder without it.

    Raises ValueError where the folder asks for something else than one pooling of `Pooling.mode` and a normalisation:
    its vectors would not be those that it was made for.
    """
    if not (folder / "modules.json").is_file():
        return Pooling()
    modules = {str(each["type"]).rpartition(".")[2]: str(each["path"]) for each in _read(folder / "modules.json")}
    strange = modules.keys() - {"Transformer", "Pooling", "Normalize"}
    if strange or "Pooling" not in modules:
        raise ValueError(f"modules.json names what embed does not serve: {', '.join(sorted(strange)) or 'no Pooling'}")
    stated = _read(folder / modules["Pooling"] / "config.json")
    modes = [name for name, value in stated.items() if name.startswith("pooling_mode_") and value]
    if len(modes) != 1 or modes[0] not in _MODES:
        raise ValueError(f"one of {', '.join(_MODES)} is served; the folder states {', '.join(modes) or 'none'}")
    own = folder / "sentence_bert_config.json"
    longest = _read(own).get("max_seq_length") if own.is_file() else None
    return Pooling(_MODES[modes[0]], "Normalize" in modules, longest)


def _read(path: Path) -> Any:
    return json.loads(path.read_text("utf-8"))
