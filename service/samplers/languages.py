"""Reasoning in another language for each sample."""

from typing import Annotated

from pydantic import BaseModel, Field, StringConstraints

from service.candidates import Task
from service.draws import Draw
from service.samplers import base
from service.samplers.variation import Allocation, allocated, asking

Language = Annotated[
    str, StringConstraints(strip_whitespace=True, max_length=40, pattern=r"^[^\W\d_]+(?:[ '-][^\W\d_]+)*$")
]

_INSTRUCTION = (
    "\n\nReason step by step in {language}. Then, on a last line of its own, give the final answer in the language and"
    ' the form that the question asks for; if it asks for no form, write "The answer is" and the answer.'
)


class LanguagesOptions(base.Options):
    """`languages`: their English names. `allocation`: `random` draws each sample's on its own, `in_turn` gives every
    language the same share."""

    languages: tuple[Language, ...] = Field(
        default=("English", "Chinese", "Spanish", "French", "German", "Japanese", "Russian"),
        min_length=1,
        max_length=32,
    )
    allocation: Allocation = "random"


class Languages(base.Sampler):
    """Each sample is asked to reason in one of several languages; all vote together (arXiv 2504.01857).

    The last turn gains two sentences that name the language and ask for the final answer in the question's own form,
    so that the answer types find it. A language that the model writes badly adds noise: name those that it knows.

    The language is drawn from the seed and the sample's index alone, all equally likely, so the draws are independent
    and from one mixture; with `in_turn` they are not.
    """

    name = "languages"
    Options: type[BaseModel] = LanguagesOptions

    def __init__(self, options: LanguagesOptions) -> None:
        self.options = options
        self.independent = options.allocation == "random"

    def draws(self, wave: base.Wave) -> tuple[Draw, ...]:
        """The caller's messages with the instruction at their end."""
        return tuple(self._draw(draw, wave.seed, index) for draw, index in zip(wave.draws, wave.indices, strict=True))

    def grows(self, task: Task, shelf: base.Shelf) -> int:
        """The instruction with the longest name."""
        return max(len(_INSTRUCTION.format(language=language)) for language in self.options.languages)

    def _draw(self, draw: Draw, seed: int, index: int) -> Draw:
        known = self.options.languages
        language = known[allocated(len(known), self.options.allocation, seed, self.name, index)]
        return asking(draw, draw.messages[-1].content + _INSTRUCTION.format(language=language), f"language {language}")
