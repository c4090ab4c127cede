"""How many examples a law draws: `make test` few and always the same, `make laws` more and each time others."""

from hypothesis import settings


def examples(gate: int, search: int) -> settings:
    """Settings for a law with these numbers, by the profile that is loaded when its file is."""
    return settings(max_examples=gate if settings.default.derandomize else search)
