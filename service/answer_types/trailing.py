"""What completions say after their answer: courtesies, how sure they are, and why."""

import re

MAX_LINES = 12

_COURTESY = re.compile(
    r"[\s*_>\-]{0,8}(?:please )?(?:let me know (?:if|whether|how|what)|i hope (?:this|that|it) "
    r"|hope (?:this|that|it) helps"
    r"|feel free to |if you (?:have|need|want|would like|'d like)|is there anything else"
    r"|do you (?:have any|need|want) "
    r"|would you like (?:me )?to |happy to (?:help|explain)|thank(?:s| you)\b|good luck|have a (?:great|nice|good) )",
    re.IGNORECASE,
)
_SURE = re.compile(
    r"[\s*_>\-]{0,8}(?:my )?(?:confidence|certainty)(?: (?:level|score|rating))?[\s*_]{0,4}[:=(\uff1a][^\n]{0,60}",
    re.IGNORECASE,
)
_LIKELY = re.compile(r"[\s*_>\-]{0,8}(?:probability|likelihood)[\s*_]{0,4}[:=\uff1a][^\n]{0,40}", re.IGNORECASE)
_GUESS = re.compile(r"[\s*_>\-]{0,8}(?:guess|answer|prediction)\b", re.IGNORECASE)
_WHY = re.compile(
    r"^[\s*_>#\-]{0,8}(?:explanation|note|reason(?:ing)?|justification|rationale|sources?|references?"
    r"|p\.?s\.?|why(?: not[^\n:]{0,40})?"
    r"|begr\u00fcndung|erkl\u00e4rung|explication|explicaci\u00f3n|explica\u00e7\u00e3o|spiegazione"
    r"|\u89e3\u91ca|\u89e3\u6790|\u8aac\u660e|\u7406\u7531)"
    r"[\s*_]{0,4}[:\uff1a]",
    re.IGNORECASE | re.MULTILINE,
)
_SHORT_CHARS = 200


def without_courtesies(text: str) -> str:
    """The text without the last lines that offer help or say how sure it is; whole where nothing else is left.

    "Probability: 0.9" says how sure a completion is only after a line that opens with "Guess" or "Answer".
    """
    end = len(text.rstrip())
    for _ in range(MAX_LINES):
        start = text.rfind("\n", 0, end) + 1
        line = text[start : min(end, start + 200)]
        before = text[:start].rstrip() if start and len(line) < 200 else ""
        if not before or not (_COURTESY.match(line) or _SURE.fullmatch(line) or _is_odds(line, before)):
            break
        end = len(before)
    return text if end == len(text.rstrip()) else text[:end]


def without_reasons(text: str) -> str:
    """The text up to a line that opens with "Explanation:", "Note:" and the like, where a short answer comes first."""
    head = text[: _SHORT_CHARS + 40]
    why = _WHY.search(head)
    if why is None or why.start() > _SHORT_CHARS or not any(map(str.isalnum, head[: why.start()])):
        return text
    return head[: why.start()]


def _is_odds(line: str, before: str) -> bool:
    return _LIKELY.fullmatch(line) is not None and _GUESS.match(before, before.rfind("\n") + 1) is not None
