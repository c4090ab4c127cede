"""How many demands on form or content a question makes that a reader could check one by one."""

import re

MAX_CHARS = 20_000
"""Of a longer question the beginning and the end are looked at."""

_DEMANDS = (
    r"(?:exactly|at (?:least|most)|no (?:more|fewer|less) than|up to|(?:under|over|within|between)) \w{1,12}",
    r"\b(?:\d{1,4}|one|two|three|four|five|six|seven|eight|nine|ten)[ -](?:words?|sentences?|paragraphs?|lines?|bullet"
    r"(?: point)?s?|items?|points?|sections?|stanzas?|verses?|steps?|examples?|characters?)\b",
    r"\b(?:must|should|has to|needs to|make sure|ensure|be sure to)\b",
    r"\b(?:do not|don't|never|without|avoid|refrain from)\b",
    r"\b(?:include|mention|contain|begin|start|end|finish|conclude) (?:\w{1,12} ){0,2}?"
    r"(?:with|by|the|a|an|at|in|each|both)\b",
    r"\b(?:in|as) (?:a |an )?(?:json|xml|yaml|csv|html|markdown|table|bulleted list|numbered list|all caps|lower ?case)"
    r"\b",
    r"\b(?:tone|style|format|rhyme|audience|heading|headings|title|subject line|bullet points?|capital letters)\b",
)
_ASKS = re.compile(
    r"\b(?:write|draft|compose|create|generate|rewrite|rephrase|summari[sz]e|translate|describe|explain|list|give|produce"
    r"|prepare|design|outline|propose|suggest|plan|review|edit|reply|respond)\b",
    re.IGNORECASE,
)
_CHECKABLE = tuple(re.compile(demand, re.IGNORECASE) for demand in _DEMANDS)


def demands(question: str) -> int:
    """How many kinds of checkable demands stand in a question that asks for a text to be written; else 0.

    By words of English alone; a question in another language makes none.
    """
    seen = question if len(question) <= MAX_CHARS else question[: MAX_CHARS // 2] + " " + question[-MAX_CHARS // 2 :]
    if not _ASKS.search(seen):
        return 0
    return sum(demand.search(seen) is not None for demand in _CHECKABLE)
