"""Runs a coroutine where no event loop is at hand."""

from collections.abc import Coroutine
from typing import Any, TypeVar

T = TypeVar("T")


def at_once(coroutine: Coroutine[Any, Any, T]) -> T:
    """The result of a coroutine that waits for nothing, such as reading samples without a judge; it may pause."""
    try:
        while coroutine.send(None) is None:
            continue
    except StopIteration as done:
        result: T = done.value
        return result
    coroutine.close()
    raise AssertionError("the coroutine waits for something")
