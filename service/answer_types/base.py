"""The protocol of an answer type: how an answer is found in a completion, and when two answers are equal."""

from typing import Protocol

from pydantic import BaseModel

from service.candidates import Extraction, Task
from service.registry import Options as Options


class AnswerType(Protocol):
    """An answer type, made once a request from its options.

    Laws (tests/contract/test_answer_type_laws.py): no input raises; reading is linear in the text; `same` is
    reflexive and symmetric; extracting from a canonical form gives it back.
    """

    name: str
    Options: type[BaseModel]
    exact: bool
    """True if equal `Extraction.identity` without a clash is the whole of equality, so that `same` is never asked."""

    def extract(self, text: str, task: Task) -> Extraction | None:
        """The answer in `text` (thinking already stripped), or None."""
        ...

    def same(self, left: Extraction, right: Extraction) -> bool:
        """True if the two are the same answer; asked only between representatives of classes."""
        ...
