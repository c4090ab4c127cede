"""Sketches: a few numbers that equal expressions share, so that most pairs need no comparison."""

from service.equality.spelling import brackets

Sketch = tuple[tuple[float, float], ...] | bool
"""Complex values in order; True: only a comparison tells; False: unreadable, equal to nothing else."""

_CLOSE = 1e-4
"""Wider than the six places to which Math-Verify rounds: what is this far apart is unequal for it too."""


def apart(one: str, left: Sketch, other: str, right: Sketch) -> bool:
    """True if the two answers are surely unequal.

    A set in braces is never a tuple or an interval, and an open interval is no closed one, whatever the library says.
    """
    if left is False or right is False:
        return True
    opened = brackets(one), brackets(other)
    if all(opened) and opened[0] != opened[1]:
        return True
    if left is True or right is True:
        return False
    return len(left) != len(right) or any(not _near(a, b) for a, b in zip(left, right, strict=True))


def read_sketch(found: object) -> Sketch:
    """What a process replied, checked."""
    if isinstance(found, list) and all(isinstance(pair, list) and len(pair) == 2 for pair in found):
        return tuple((float(real), float(imaginary)) for real, imaginary in found)
    return found is True


def _near(a: tuple[float, float], b: tuple[float, float]) -> bool:
    return all(x == y or abs(x - y) <= _CLOSE * max(1.0, abs(x), abs(y)) for x, y in zip(a, b, strict=True))
