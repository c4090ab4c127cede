"""Where a completion says its answer: scanners for untrusted text, every one linear.

Three limits make that so, whatever the text: only the last `WINDOW_CHARS` characters are read for answers, only the
last `MAX_CUES` places of one kind are tried, and no answer is longer than `MAX_ANSWER_CHARS`.
"""

import re
from collections import deque
from collections.abc import Iterator
from functools import lru_cache

from service.answer_types.tags import within_tags as within_tags
from service.answer_types.thinking import strip_thinking as strip_thinking
from service.answer_types.trailing import without_courtesies
from service.answer_types.trailing import without_reasons as without_reasons
from service.answer_types.unanswered import is_junk

WINDOW_CHARS = 100_000
TAIL_CHARS = 4_000
MAX_CUES = 32
MAX_ANSWER_CHARS = 2_000

SELF_CLOSING = frozenset({"boxed", "json", "tag", "fenced"})
"""Evidence whose end is marked in the text: such an answer is complete even where the completion was cut off."""
CUED = frozenset({"hashes", "phrase"})
"""Evidence that opens with a cue and ends with its sentence."""

_CONTROL_END = re.compile(
    r"(?:\s{0,8}(?:<\|(?:im_end|eot_id|eom_id|end|return|end_?of_?(?:text|turn|sentence))\|>|</s>"
    r"|<end_of_turn>|<eos>|<turn\|>)){1,8}\s{0,8}\Z"
)
_FENCE = re.compile(r"^[ \t]{0,8}(?:```|~~~)[^\n`]{0,40}$", re.MULTILINE)
_BRACE = re.compile(r"\\[{}\\]|[{}]")
_BOX = re.compile(r"\\f?box(?:ed)?[ ]{0,4}\{")
_HASHES = re.compile(r"####")
_JSON_KEY = re.compile(r"""["'](?:final[_ ]?)?answer["'][ \t]{0,8}:\s{0,8}""", re.IGNORECASE)
_JSON_CHOSEN = re.compile(
    r"[\"'](?:(?:final|correct|selected|my|best)[ _]?)?"
    r"(?:answer|choice|option|letter|label|selection|selected|prediction)[\"'][ \t]{0,8}:\s{0,8}",
    re.IGNORECASE,
)
_JSON_VALUE = re.compile(
    r'"(?P<double>(?:[^"\\]|\\.){0,2000})"'
    r"|'(?P<single>(?:[^'\\\n]|\\.){0,2000})'(?=\s{0,8}[,}\]])"
    r"|(?P<list>\[[^\[\]{}]{0,1000}\])"
    r"""|(?P<scalar>[^\s,"'{}\[\]]{1,500})(?=\s{0,8}[,}\]])""",
    re.DOTALL,
)
_BLANK = re.compile(r"""(?:["'](?:[\s_.?\u2026-]{0,40}|N/A)["']|null|None)(?=\s{0,8}[,}\]])""")
_JSON_ESCAPE = re.compile(r"\\(?:u([0-9a-fA-F]{4})|n(?![a-zA-Z])|([\\\"'/]))")
_CUE_WORDS = ("answer", "Answer", "ANSWER")
_FOREIGN_WORDS = (
    "respuesta",
    "Respuesta",
    "r\u00e9ponse",
    "R\u00e9ponse",
    "Antwort",
    "resposta",
    "Resposta",
    "risposta",
    "Risposta",
    "ntwoord",
    "\u043e\u0442\u0432\u0435\u0442",
    "\u041e\u0442\u0432\u0435\u0442",
    "\u7b54\u6848",
    "\u7b54\u3048",
    "\u6b63\u89e3",
    "\uc815\ub2f5",
    "\ub2f5\uc740",
)
_FOREIGN_CUE = re.compile(
    r"(?:ntwoord|[^\W\d_]{2,10})(?:[ ](?:corr?ect[ao]|correta|corretta|finale?|est\u00e1"
    r"|definitiva)){0,2}[ \t*_]{0,4}"
    r"(?:[:\uff1a=]|(?:ist|lautet|w\u00e4re|es|est|\u00e8|\u00e9|is|\u2014|-)(?=[\s*:])[ ]?[:\uff1a]?"
    r"|(?:\u5e94\u8be5|\u5c31)?(?:\u662f|\u4e3a|\u70ba)[ ]?[:\uff1a]?|\u306f[\u3001:\uff1a]?|[\uc740\ub294]?[ :])"
)
_CUE = re.compile(
    r"\banswers?(?:[ ](?:to|for|of)[ ][^\n.:]{1,80}?)?[ \t*_]{0,4}"
    r"(?:[:\uff1a=\u2192]|->|\b(?:(?:would|should|must|will|has to)[ ])?(?:is|was|are|be)\b[*_]{0,2}[ ]?[:\uff1a]?)",
    re.IGNORECASE,
)
_LINE_CUE = re.compile(
    r"^[ \t*_>#]{0,8}(?:(?:A|Ans|ans|Guess|Prediction|Result)[*_]{0,2}[ ]?[:\uff1a](?!\S)"
    r"|(?:Final )?Answer(?:[*_]{2}(?=\s)|[ ][-\u2013\u2014](?=\s)))",
    re.MULTILINE,
)
_ANSWERED = ("answer is", "answer:", "Answer is", "Answer:", "ANSWER:", "\\boxed{", "####", "\nA:")
_NEXT_QUESTION = re.compile(
    r"^[ \t*#]{0,8}(?:(?:Question|Q)[ ]?[0-9]{0,4}[*]{0,2}[:.]"
    r"|Now\b[^\n]{0,40}(?:\ball\b[^\n]{0,30}\banswers\b|\u603b\u7ed3))",
    re.MULTILINE,
)
_GAP = re.compile(r"[\s*_>]{0,80}")
_SENTENCE_END = re.compile(
    r"(?<!\b[A-Z])(?<!\b[A-Z][a-z])(?<!\bMrs)(?<!\bapprox)(?<!\bvs)(?:\.|[!?](?!\s(?:[a-z]|Inc\b|Corp\b|Ltd\b|LLC\b)))"
    r"[\"'\u201d\u2019)*_]{0,4}(?=\s)"
)
_OPENERS = frozenset({"$$", "\\[", "\\]", "\\begin{align*}", "\\begin{align}", "---", "```"})
_ADVERB = re.compile(
    r"(?:(?:therefore|thus|then|hence|simply|indeed|that)\b[,:]?\s{0,4}){1,3}(?=\S)",
    re.IGNORECASE,
)
_WRAPPED = re.compile(r"\\(?:text|textbf|textit|mathrm|mathbf|mathit|boxed|fbox|bf|rm|displaystyle)\s{0,4}\{", re.ASCII)
_PAIRS = (("$$", "$$"), ("$", "$"), ("\\(", "\\)"), ("\\[", "\\]"))
_EDGES = " \t\r\n\v\f\u00a0*_`\"'\u201c\u201d\u201e\u201f\u2018\u2019\u201a\u00ab\u00bb\u2039\u203a\u300c\u300d"
_CLOSERS = ".,;:!?\u3002"


@lru_cache(maxsize=4)  # asked in turn by what looks at one completion
def window(text: str) -> str:
    """The part of the text that is read for answers: its last `WINDOW_CHARS` characters, without code-fence lines;
    where it says its answer between tags (`<answer>`), what stands between the last ones. Last lines that offer help or
    say how sure it is are left out.

    Where the text, after it has given an answer, goes on to a line that begins with "Question:" or "Q:", or with "Now,
    let's summarize all the answers", it ends before that line: models without a stop sequence go on to make up the next
    question, or repeat the answers of the examples in their prompt.
    """
    text = within_tags(text[-WINDOW_CHARS:])[0]
    if text.rstrip().endswith(">") and (end := _CONTROL_END.search(text, max(0, len(text) - 400))):
        text = text[: end.start()]
    text = without_courtesies(_FENCE.sub("", text))
    for following in _NEXT_QUESTION.finditer(text):
        if text.startswith("A:") or any(text.find(mark, 0, following.start()) >= 0 for mark in _ANSWERED):
            return text[: following.start()]
        if following.start() > TAIL_CHARS:
            break
    return text


def closed_part(text: str) -> str:
    """The text up to its last newline or sentence end: what a cut-off completion surely said in full."""
    return text[: max(text.rfind(mark) for mark in ("\n", ". ", "! ", "? ")) + 1]


def closing_brace(text: str, start: int) -> int | None:
    """Where the brace opened just before `start` closes; None if it does not within `MAX_ANSWER_CHARS`."""
    depth = 1
    for brace in _BRACE.finditer(text, start, start + MAX_ANSWER_CHARS):
        if brace[0] == "{":
            depth += 1
        elif brace[0] == "}":
            depth -= 1
            if depth == 0:
                return brace.start()
    return None


def boxed(text: str) -> str | None:
    """What the last closed, non-empty `\\boxed{...}` holds, braces matched; of nested boxes the innermost.

    A box within a JSON string has its backslashes doubled; they are undoubled.
    """
    for box in reversed(deque(_BOX.finditer(text), MAX_CUES)):
        end = closing_brace(text, box.end())
        held = text[box.end() : end].strip() if end is not None else ""
        if text.startswith("\\", box.start() - 1):
            held = held.replace("\\\\", "\\")
        if held and not held.startswith("\\phantom"):
            return held
    return None


def hashes(text: str) -> Iterator[str]:
    """The lines after `####` (GSM8K's mark), last first."""
    for mark in reversed(deque(_HASHES.finditer(text), MAX_CUES)):
        if line := _line(text, mark.end()).strip("# \t"):
            yield line


def json_answers(text: str, *, chosen: bool = False) -> Iterator[str]:
    """The values of JSON's `"answer"` and `"final_answer"`, last first; LaTeX with single backslashes is left whole.

    `chosen`: also those of `"choice"`, `"option"` and the like.
    """
    for key in reversed(deque((_JSON_CHOSEN if chosen else _JSON_KEY).finditer(text), MAX_CUES)):
        value = None if _BLANK.match(text, key.end()) else _JSON_VALUE.match(text, key.end())
        if value and (held := _JSON_ESCAPE.sub(_unescape, value[value.lastgroup or 0]).strip()):
            yield held


def leaves_blank(text: str) -> bool:
    """True if the last JSON `"answer"` is empty, null or a placeholder, so that there is no answer."""
    last = deque(_JSON_KEY.finditer(text), 1)
    return bool(last) and _BLANK.match(text, last[0].end()) is not None


def marked(text: str) -> Iterator[tuple[str, str]]:
    """What is marked as the answer, with the name of the mark, strongest first: a box, lines behind ####, JSON."""
    if (box := boxed(text)) is not None:
        yield "boxed", box
    for line in hashes(text):
        yield "hashes", line
    for value in json_answers(text):
        yield "json", value


def phrases(text: str) -> Iterator[str]:
    """What follows "the answer is", "Final answer:", "A:" and the like up to the end of the line, last first.

    Where nothing follows on the line, the next line with words or figures on it is taken.
    """
    cues = [cue for place in _places(text, _CUE_WORDS) if (cue := _CUE.match(text, place))]
    if not text.isascii() or not cues:
        cues += [cue for place in _places(text, _FOREIGN_WORDS) if (cue := _FOREIGN_CUE.match(text, place))]
    cues += deque(_LINE_CUE.finditer(text), MAX_CUES)
    for cue in sorted(cues, key=re.Match.start, reverse=True)[:MAX_CUES]:
        gap = _GAP.match(text, cue.end())
        line = _line(text, gap.end() if gap else cue.end())
        if line.strip():
            yield line.strip()


def first_sentence(line: str) -> str:
    """The line up to its first sentence end; an initial or a short title before the full stop does not end one."""
    end = _SENTENCE_END.search(line)
    return line[: end.start()] if end else line


def last_sentence(line: str) -> str:
    """The last sentence of a line, without its end mark."""
    line = line.rstrip(_EDGES).rstrip(_CLOSERS)
    ends = deque(_SENTENCE_END.finditer(line), 1)
    return line[ends[0].end() :].strip() if ends else line


def last_line(text: str) -> str:
    """The last line that holds more than marks, brackets or a tag, of the last `TAIL_CHARS` characters; empty if there
    is none."""
    for line in reversed(text[-TAIL_CHARS:].splitlines()):
        if unwrap(line) and line.strip() not in _OPENERS and not is_junk(line):
            return line.strip()
    return ""


def unwrap(text: str) -> str:
    """The text without what wraps the whole of it: markdown, quotes, `$...$`, `\\text{...}`, a full stop.

    Empty for a text longer than `MAX_ANSWER_CHARS`.
    """
    text = text.strip()
    if len(text) > MAX_ANSWER_CHARS:
        return ""
    while True:
        bare = _without_pair(text.strip(_EDGES).rstrip(_CLOSERS).lstrip(":").strip(_EDGES))
        bare = _without_command(bare)
        if bare == text:
            return bare
        text = bare


def without_adverb(line: str) -> str:
    """The line without "therefore", "thus", "then" and the like before the answer proper."""
    lead = _ADVERB.match(line)
    return line[lead.end() :] if lead else line


def _without_pair(text: str) -> str:
    for left, right in _PAIRS:
        inner = text[len(left) : -len(right)]
        if len(text) > len(left) + len(right) and text.startswith(left) and text.endswith(right) and left not in inner:
            return inner
    return text


def _without_command(text: str) -> str:
    command = _WRAPPED.match(text)
    if command and closing_brace(text, command.end()) == len(text) - 1:
        return text[command.end() : -1]
    return text


def _places(text: str, words: tuple[str, ...]) -> Iterator[int]:
    """The last `MAX_CUES` places of each word."""
    for word in words:
        place = len(text)
        for _ in range(MAX_CUES):
            place = text.rfind(word, 0, place)
            if place < 0:
                break
            yield place


def _line(text: str, start: int) -> str:
    end = start
    for _ in range(3):
        end = text.find("\n", start)
        line = text[start : end if end >= 0 else len(text)][:MAX_ANSWER_CHARS]
        if end < 0 or (line.strip() and line.strip() not in _OPENERS):
            return line
        start = end + 1
    return ""


def _unescape(escape: re.Match[str]) -> str:
    if escape[1]:
        letter = chr(int(escape[1], 16))
        return letter if letter.isprintable() else " "
    return escape[2] or " "
