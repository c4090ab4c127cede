"""Which output of an entailment model means what, by the names that its config gives them."""

import re
from collections.abc import Mapping

_ENTAILMENT = frozenset({"entailment", "entail", "entails", "entailed"})
_NEUTRAL = frozenset({"neutral"})
_CONTRADICTION = frozenset({"contradiction", "contradict", "contradicts", "contradictory", "contradicted"})
_REST = frozenset({"not_entailment", "non_entailment", "not_entailed"})


def entailment_columns(labels: Mapping[int, str]) -> tuple[int, int | None, int]:
    """The outputs of entailment, neutral and contradiction in a model's `id2label`, whatever their order and case.

    A model of two labels has no neutral one (None); its other label, "not_entailment" too, stands for contradiction.
    Raises ValueError where the labels are not these.
    """
    named = {re.sub(r"[\s-]+", "_", label.strip().lower()): number for number, label in labels.items()}
    entailment, neutral = _column(named, _ENTAILMENT), _column(named, _NEUTRAL)
    other = _column(named, _CONTRADICTION if len(labels) == 3 else _CONTRADICTION | _REST)
    mapped = {entailment, neutral, other} - {None}
    if entailment is None or other is None or mapped != set(labels):
        names = ", ".join(str(labels[number]) for number in sorted(labels))
        raise ValueError(f"the labels of an entailment model are entailment, neutral, contradiction; here: {names}")
    return entailment, neutral, other


def _column(named: Mapping[str, int], words: frozenset[str]) -> int | None:
    """The output whose name is one of `words`; None if there is none."""
    return next((number for name, number in named.items() if name in words), None)
