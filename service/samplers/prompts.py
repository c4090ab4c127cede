"""Another wording of the prompt for each sample."""

from string import Template
from typing import Annotated

from pydantic import AfterValidator, BaseModel, Field, StringConstraints, model_validator

from service.candidates import Task
from service.draws import Draw
from service.errors import BadRequest
from service.samplers import base
from service.samplers.variation import Allocation, allocated, asking
from workers.wire.messages import encodable

MAX_CHARS = 4_000
MAX_PLACES = 3
"""Most places in one template that the question is filled into."""
MAX_WORDINGS = 32

_SHIPPED = (
    "$question",
    "$question\n\nWork it out step by step before you give the answer.",
    "Read the question carefully, say in a sentence what is asked, and then answer it.\n\n$question",
    "$question\n\nRead it once more: $question\n\nThink first, then answer.",
)


def check_template(text: str) -> str:
    """The template as it is; a ValueError unless it holds `$question` one to three times and no other name."""
    template = Template(text)
    if not template.is_valid() or template.get_identifiers() != ["question"]:
        raise ValueError("a template holds $question, no other $name, and $$ for the sign itself")
    if sum(bool(mark["named"] or mark["braced"]) for mark in template.pattern.finditer(text)) > MAX_PLACES:
        raise ValueError(f"a template holds $question at most {MAX_PLACES} times")
    return text


def _filled(template: str, question: str) -> str:
    return Template(template).substitute(question=question)


Wording = Annotated[str, StringConstraints(min_length=1, max_length=MAX_CHARS), AfterValidator(encodable)]


class PromptsOptions(base.Options):
    """`templates`: texts with `$question` where the question goes (`$$` is a dollar sign). `named`: templates among the
    deployment's own, by their files' names. `paraphrases`: the question in other words, each asked in its place.
    Where none is given a few shipped templates are used. `allocation`: `random` draws each sample's wording on its own,
    `in_turn` gives each the same share."""

    templates: tuple[Annotated[Wording, AfterValidator(check_template)], ...] = Field(
        default=(), max_length=MAX_WORDINGS
    )
    named: tuple[Annotated[str, StringConstraints(min_length=1, max_length=100)], ...] = Field(
        default=(), max_length=MAX_WORDINGS
    )
    paraphrases: tuple[Wording, ...] = Field(default=(), max_length=MAX_WORDINGS)
    allocation: Allocation = "random"

    @model_validator(mode="after")
    def _not_blank(self) -> "PromptsOptions":
        if not all(text.strip() for text in self.paraphrases):
            raise ValueError("a paraphrase must not be blank")
        return self


class Prompts(base.Sampler):
    """Each sample gets the question in one of several wordings; all vote together.

    Templates are filled by `string.Template`: what is inserted is never itself read as a template, and a paraphrase is
    not one. A wording takes the place of the last turn; earlier turns stay. Its source is the prompt ensembles of
    DiVeRSe (arXiv 2206.02336) and of Medprompt's kind; which wordings suit a model is for the caller to know.

    The wording is drawn from the seed and the sample's index alone, all equally likely, so the draws are independent
    and from one mixture; with `in_turn` they are not.
    """

    name = "prompts"
    Options: type[BaseModel] = PromptsOptions

    def __init__(self, options: PromptsOptions) -> None:
        self.options = options
        self.independent = options.allocation == "random"

    def draws(self, wave: base.Wave) -> tuple[Draw, ...]:
        """The caller's messages, the last turn in the sample's wording."""
        wordings = self._wordings(wave.shelf)
        return tuple(
            self._draw(draw, wordings, wave.seed, index) for draw, index in zip(wave.draws, wave.indices, strict=True)
        )

    def grows(self, task: Task, shelf: base.Shelf) -> int:
        """What the longest wording has more than the question."""
        longest = max(
            len(_filled(text, task.question)) if fills else len(text) for _, text, fills in self._wordings(shelf)
        )
        return max(0, longest - len(task.question))

    def _wordings(self, shelf: base.Shelf) -> tuple[tuple[str, str, bool], ...]:
        """Each wording's name, its text, and True if the question is filled into it."""
        own = [(f"template {place}", text, True) for place, text in enumerate(self.options.templates)]
        named = [(f"template {name}", self._named(name, shelf), True) for name in self.options.named]
        asked = [(f"paraphrase {place}", text, False) for place, text in enumerate(self.options.paraphrases)]
        shipped = [(f"shipped template {place}", text, True) for place, text in enumerate(_SHIPPED)]
        return tuple([*own, *named, *asked] or shipped)

    def _named(self, name: str, shelf: base.Shelf) -> str:
        if name not in shelf.templates:
            raise BadRequest(f"sampler.named: this deployment has no template {name!r}", field="sampler.named")
        try:
            return check_template(shelf.templates[name])
        except ValueError as error:
            raise BadRequest(f"sampler.named: {name!r} is no wording: {error}", field="sampler.named") from None

    def _draw(self, draw: Draw, wordings: tuple[tuple[str, str, bool], ...], seed: int, index: int) -> Draw:
        name, text, fills = wordings[allocated(len(wordings), self.options.allocation, seed, self.name, index)]
        content = _filled(text, draw.messages[-1].content) if fills else text
        return asking(draw, content, name)
