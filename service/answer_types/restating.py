"""What a short sentence answers: without "I think it is", and without the words of the question that it repeats."""

import re
from itertools import pairwise

MAX_SENTENCE_CHARS = 200
MAX_WORDS = 6
_MAX_QUESTION_CHARS = 4_000

_ADVERBS = re.compile(
    r"(?:(?:so|thus|hence|therefore|then|well|okay|ok|and|yes|indeed|clearly|altogether|finally"
    r"|in total|in the end|in conclusion"
    r"|overall|consequently)\b[,:]?\s{1,4}){1,3}",
    re.IGNORECASE,
)
_OPENING = re.compile(
    r"(?:(?:i|we) (?:think|believe|guess|suppose|conclude|estimate|(?:would|'d) (?:say|guess)|d say)(?: that)?\s)?"
    r"(?:(?:it|that|this|he|she)(?:['\u2019]s| is| was| must be| must have been| would be| has to be| should be)"
    r"|(?:they|these|those) (?:are|were)"
    r"|the (?:correct |right |final |best )?(?:answer|result|solution) (?:is|was|would be"
    r"|must be))[: ]\s{0,4}(?:called |named )?(?=\S)",
    re.IGNORECASE,
)
_GUESS = re.compile(
    r"i (?:think|believe|guess|suppose|'?d say|would say)(?: that)?[: ]\s{0,4}(?=(?-i:[A-Z]))", re.IGNORECASE
)
_AMOUNT = re.compile(
    r"(?:(?:i|we|you|she|he|they)(?: would|'d| will)? (?:think|believe|guess|say|get|got|find|found|obtain|estimate)"
    r"(?: that)?(?: (?:it|that|there)(?:'s| is| are| would be))?|(?:it|that|this|which)(?:['\u2019]s"
    r"| is| are| was| must be| would be| will be"
    r"| equals| comes to| has to be| makes| gives| leaves| means)(?: us| you| to)?"
    r"|the (?:final )?(?:answer|result|total|value|sum|solution|difference"
    r"|product|number)(?: is| was| would be| must be| comes to|:)?|(?:giving|making|leaving|equals|gives)(?: us)?)"
    r"(?: about| approximately| exactly| roughly| only| just)?[ :]\s{0,4}(?=\S)",
    re.IGNORECASE,
)
_THINK = re.compile(r"i (?:think|believe|guess|suppose|know)(?: that)?\s(?=the\s)", re.IGNORECASE)
_NOT = re.compile(r",\s(?:and\s)?not\s|,?\s(?:rather than|instead of)\s|,?\sin\s(?:the\s)?(?:MM|DD|YYYY)\b")
_CLAUSE = re.compile(r",?\s(?:who|that|which)\s")
_OF = re.compile(
    r"[Tt]he\s(?:\w{1,20}\s){1,3}?(?:of|for|in|behind)\s[^.,;:]{1,80}?\s(?:is|was|are|were)\s(?=[A-Z0-9])", re.ASCII
)
"""What opens "The author of Hamlet is Shakespeare"."""
_WORD = re.compile(r"[^\W_]+(?:['\u2019.-][^\W_]+)*")
_COPULAS = frozenset({"is", "was", "are", "were", "be", "called", "named"})
_ALWAYS = frozenset(
    {"the", "a", "an", "of", "it", "this", "that", "is", "was", "are", "were", "in", "on", "to", "name", "full"}
)
_ARTICLES = frozenset({"the", "a", "an"})
_BY = re.compile(
    r"(?:(?:written|directed|painted|composed|discovered|invented|founded|created) by|called|named|known as)\s",
    re.IGNORECASE,
)
_EMPTY = frozenset({"so", "not", "it", "that", "this", "right", "correct", "true", "wrong", "yes", "no", "the", "a"})


def concludes(sentence: str) -> bool:
    """True if the sentence opens with "so", "therefore" and the like."""
    return _ADVERBS.match(sentence) is not None


def amount_of(sentence: str) -> str:
    """What follows "so", "I think", "we get", "the total is" and the like; the sentence itself where none opens it."""
    for opening in (_ADVERBS, _AMOUNT):
        if found := opening.match(sentence):
            sentence = sentence[found.end() :]
    return sentence


def answer_in(sentence: str, question: str) -> str:
    """The few words that a sentence adds to the question; empty where it does not restate it, or adds more.

    "The capital of France is Paris" and "Paris is the capital of France" add Paris to "What is the capital of France?",
    and so do "It is Paris" and "I think it's Paris".
    """
    if len(sentence) > MAX_SENTENCE_CHARS:
        return ""
    if found := _ADVERBS.match(sentence):
        sentence = sentence[found.end() :]
    for opening in (_OPENING, _GUESS):
        if found := opening.match(sentence):
            return _few(_without_clause(sentence[found.end() :], question))
    if found := _THINK.match(sentence):
        sentence = sentence[found.end() :]
    return _few(_without_clause(_added(sentence, question), question))


def _without_clause(words: str, question: str) -> str:
    """The words without what they deny, and without a clause that repeats the question: "Marlowe, who wrote it"."""
    if found := _NOT.search(words):
        words = words[: found.start()]
    for clause in _CLAUSE.finditer(words):
        known = _ALWAYS | {word[0].casefold() for word in _WORD.finditer(question[-_MAX_QUESTION_CHARS:])}
        if all(word[0].casefold() in known for word in _WORD.finditer(words, clause.end())):
            return words[: clause.start()]
    return words


def _added(sentence: str, question: str) -> str:
    """The sentence without the question's words at its beginning or at its end."""
    words = [*_WORD.finditer(sentence)]
    asked = [word[0].casefold() for word in _WORD.finditer(question[-_MAX_QUESTION_CHARS:])]
    known = _ALWAYS.union(asked)
    said = [word[0].casefold().removesuffix("'s").removesuffix("\u2019s") for word in words]
    first = next((place for place, word in enumerate(said) if word not in known), len(said))
    while first < len(said) and first > 2 and said[first - 1] in _ARTICLES:
        first -= 1
    if 2 <= first < len(said) and said[first - 1] in _COPULAS and not _ALWAYS.issuperset(said[:first]):
        return sentence[words[first - 1].end() :]
    if named := _OF.match(sentence):
        head = {*said[: sum(1 for _ in _WORD.finditer(sentence, 0, named.end()))]}
        if len(head - known) == 1 and head & ({*asked} - _ALWAYS):
            return sentence[named.end() :]
    start = len(said)
    while start > 0 and said[start - 1] in known:
        start -= 1
    verb = next((place for place in range(start, len(said)) if said[place] in _verbs(asked)), None)
    if (
        verb is None
        or verb == 0
        or len(said) - verb < 2
        or any(word in asked for word in said[:verb] if word not in _ALWAYS)
    ):
        return ""
    return sentence[: words[verb - 1].end()]


def _verbs(asked: list[str]) -> frozenset[str]:
    """What may stand between an answer and the question's words: a form of to be, or what follows "who"."""
    return _COPULAS | {after for word, after in pairwise(asked) if word in ("who", "what", "which")}


def _few(words: str) -> str:
    words = _BY.sub("", words.strip(), count=1) if _BY.match(words.strip()) else words.strip()
    said = words.split()
    return words if 0 < len(said) <= MAX_WORDS and not (len(said) == 1 and said[0].casefold() in _EMPTY) else ""
