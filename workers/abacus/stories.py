"""The texts that word problems are told in: one sentence a term, numbers as `{}`, all numbers of a story count."""

from dataclasses import dataclass

CALCULATIONS = ("What is EXPRESSION?", "Calculate EXPRESSION.", "Work out EXPRESSION.")

NAMES = ("Ada", "Ben", "Cleo", "Dan", "Eva", "Finn", "Grace", "Hugo", "Ivy", "Jack", "Kim", "Leo", "Mia", "Noah")

THINGS = ("apples", "books", "cards", "coins", "cups", "eggs", "keys", "lamps", "pens", "plums", "shells", "stamps")


@dataclass(frozen=True)
class Story:
    """Sentences for a first term, for terms added and taken away, each plain or a product, and the closing question."""

    start_plain: tuple[str, ...]
    start_product: tuple[str, ...]
    more_plain: tuple[str, ...]
    more_product: tuple[str, ...]
    less_plain: tuple[str, ...]
    less_product: tuple[str, ...]
    ending: tuple[str, ...]


STORIES = (
    Story(
        start_plain=("NAME has {} THINGS.", "NAME owns {} THINGS."),
        start_product=("NAME has {} boxes with {} THINGS each.",),
        more_plain=("NAME finds {} more.", "A friend brings {} more THINGS."),
        more_product=("NAME buys {} bags of {} THINGS.", "Then {} friends bring {} THINGS each."),
        less_plain=("NAME gives away {}.", "NAME loses {} of the THINGS."),
        less_product=("NAME hands {} children {} THINGS each.", "NAME sells {} packs of {} THINGS."),
        ending=("How many THINGS does NAME have now?", "How many THINGS are left?"),
    ),
    Story(
        start_plain=("A train leaves with {} passengers.", "A train starts with {} people."),
        start_product=("A train leaves with {} groups of {} people.",),
        more_plain=("At a stop {} people get on.", "Then {} people board."),
        more_product=("Then {} groups of {} people get on.",),
        less_plain=("At a stop {} people get off.", "Then {} passengers leave."),
        less_product=("Then {} groups of {} people get off.",),
        ending=("How many people are on the train?", "How many passengers remain?"),
    ),
    Story(
        start_plain=("NAME has {} dollars.", "NAME starts the week with {} dollars."),
        start_product=("NAME is paid for {} days at {} dollars a day.",),
        more_plain=("NAME earns {} dollars.", "An aunt sends {} dollars."),
        more_product=("NAME works {} hours for {} dollars an hour.",),
        less_plain=("NAME spends {} dollars.", "A bill takes {} dollars."),
        less_product=("NAME buys {} tickets for {} dollars each.",),
        ending=("How many dollars does NAME have in the end?", "How much money is left?"),
    ),
    Story(
        start_plain=("A shop stocks {} THINGS.", "There are {} THINGS in a shop."),
        start_product=("A shop has {} shelves with {} THINGS each.",),
        more_plain=("A van delivers {} THINGS.", "The owner adds {}."),
        more_product=("Then {} crates of {} THINGS arrive.",),
        less_plain=("A customer takes {}.", "The shop sells {} THINGS."),
        less_product=("Then {} customers buy {} THINGS each.",),
        ending=("How many THINGS does the shop have now?", "How many THINGS remain in the shop?"),
    ),
    Story(
        start_plain=("NAME begins a game with {} points.",),
        start_product=("NAME wins {} rounds of {} points to begin.",),
        more_plain=("NAME scores {} points.", "A bonus gives {} points."),
        more_product=("NAME wins {} rounds worth {} points each.",),
        less_plain=("NAME loses {} points.", "A foul costs {} points."),
        less_product=("NAME makes {} mistakes that cost {} points each.",),
        ending=("What is the final score?", "How many points does NAME have?"),
    ),
)
