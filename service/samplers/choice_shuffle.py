"""The options of a multiple-choice question in an order of its own for each sample."""

from dataclasses import replace

from pydantic import BaseModel

from service.answer_types.options import offered
from service.candidates import Task
from service.draws import Draw
from service.samplers import base
from service.samplers.relisting import Listing, relisting
from service.samplers.variation import asking, generator


class ChoiceShuffleOptions(base.Options):
    """`balanced`: the options rotate through the places from sample to sample, so that over as many samples as options
    each stands once at each place; otherwise each sample's order is drawn on its own."""

    balanced: bool = False


class ChoiceShuffle(base.Sampler):
    """Each sample sees the options in an order of its own, and its letters are read so (Medprompt, arXiv 2311.16452).

    A model's liking for a letter or a place then costs votes to no option in particular. The default where the request
    has `choices`. The options' letters stay and their texts change places; choices that the question does not list are
    appended to it as lettered lines; "none of the above" stays last. Where an order cannot be changed safely (the
    reply's `sampler.remark` says why) prompts are left alone.

    Each order is equally likely and drawn from the seed and the sample's index alone, so the draws are independent and
    from one mixture; with `balanced` they are not. Samples of different orders share no reading of the prompt.
    """

    name = "choice_shuffle"
    Options: type[BaseModel] = ChoiceShuffleOptions
    shuffles = True

    def __init__(self, options: ChoiceShuffleOptions) -> None:
        self.options = options
        self.independent = not options.balanced
        self._made: dict[Task, Listing | str] = {}

    def draws(self, wave: base.Wave) -> tuple[Draw, ...]:
        """The caller's messages, the options of the last in the sample's order."""
        listing = self._listing(wave.task)
        if isinstance(listing, str):
            return wave.draws
        orders = [self._order(listing, wave.seed, index) for index in wave.indices]
        return tuple(
            _told(asking(draw, listing.in_order(order), ""), wave.task, order)
            for draw, order in zip(wave.draws, orders, strict=True)
        )

    def grows(self, task: Task, shelf: base.Shelf) -> int:
        """What listing the choices takes, where the question does not."""
        listing = self._listing(task)
        return 0 if isinstance(listing, str) else listing.characters - len(task.question)

    def shown(self, task: Task, seed: int, index: int) -> tuple[int, ...] | None:
        """The sample's order; None where all samples see the caller's."""
        listing = self._listing(task)
        return None if isinstance(listing, str) else self._order(listing, seed, index)

    def remark(self, task: Task) -> str | None:
        """Why the options stay in the caller's order."""
        listing = self._listing(task)
        return f"the options stay in their order: {listing}" if isinstance(listing, str) else None

    def _listing(self, task: Task) -> Listing | str:
        if task not in self._made:
            self._made[task] = relisting(task)
        return self._made[task]

    def _order(self, listing: Listing, seed: int, index: int) -> tuple[int, ...]:
        moving = list(range(listing.free))
        generator(seed, self.name, 0 if self.options.balanced else index).shuffle(moving)
        turn = index % listing.free if self.options.balanced else 0
        return (*moving[turn:], *moving[:turn], *range(listing.free, len(listing.texts)))


def _told(draw: Draw, task: Task, order: tuple[int, ...]) -> Draw:
    """The draw with the strings that its completion must be one of, where it must, in the prompt's order and letters.

    The k-th is then how the prompt has its k-th option: the letter that stays, the text that moved.
    """
    options = offered(task)
    if not draw.sampling.options or options is None or len(draw.sampling.options) != len(order):
        return draw
    given = [choice.strip() for choice in draw.sampling.options]
    texts = [text if choice.endswith(text) else "" for choice, text in zip(given, options.texts, strict=True)]
    dress = [choice.removesuffix(text) for choice, text in zip(given, texts, strict=True)]
    told = tuple(front + texts[place] for front, place in zip(dress, order, strict=True))
    return replace(draw, sampling=draw.sampling.model_copy(update={"options": told}))
