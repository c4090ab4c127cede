"""Sentences that choose one lettered option: "the right choice is B", "I'd go with (C)", "B is correct", "So B."."""

import re
from collections.abc import Iterator

MAX_SENTENCES = 24
LAST_SENTENCES = 3
_MAX_SENTENCE_CHARS = 400

_DRESS = r"[*_`\"'\u201c\u201e\u00ab$ ]{0,6}"
_LETTER = (
    _DRESS + r"(?:\\(?:text|textbf|mathrm|mathbf)\{)?(?:[(\[{][* ]{0,3}([A-Za-z])[* ]{0,3}[)\]}]"
    r"|(?-i:([A-Z]))(?![\w'\u2019]|-\w)(?!(?<=[AI])[ ](?-i:[a-z])))"
)
_THING = r"(?:choice|option|answer|statement|selection|letter|response|alternative|candidate)"
_NAMED = re.compile(
    rf"\b(?:correct|right|best|final|my|true|appropriate|likely|closest|only|valid|suitable"
    rf"|accurate)[ ](?:\w{{1,12}}[ ])?"
    rf"{_THING}(?:[ ](?:here|then|therefore))?[*_]{{0,2}}[ ]?(?:[:=\u2192]|is|was|would be|should be"
    rf"|must be|has to be)[ :*]{{0,4}}"
    rf"(?:therefore |then |clearly |thus )?(?:{_THING}[ ])?{_LETTER}",
    re.IGNORECASE,
)
_TAKEN = re.compile(
    r"\b(?:choose|chose|choosing|pick(?:ed)?|select(?:ed|ion)?|go(?:ing)? with|going for|go for"
    r"|opt for|settle on|vote for"
    r"|answer with|lean(?:ing)? towards?|conclude(?: that)?(?: it(?:'s| is))?|stick with"
    r"|final answer|leaves(?: us)?(?: with)?|left with)[*_]{0,2}[ :*]{1,4}"
    rf"(?:(?:the )?{_THING}[ ])?{_LETTER}",
    re.IGNORECASE,
)
_PRAISED = re.compile(
    rf"(?:^|[\s,;:(*]){_LETTER}[*_\"')\]\u201d]{{0,4}}[ ](?:[^.\n]{{0,60}}?[ ])??(?:is|was|are|seems"
    rf"|looks|must be|would be|should be|appears)"
    r"[ ](?:to be |the |a |an |indeed |clearly |therefore |definitely |thus |only |one |most |more "
    r"|likely |probably |also ){0,4}"
    r"[*_]{0,2}(?:correct|right|best|better|appropriate|answer|(?<=most )(?:accurate|suitable|plausible|fitting|likely"
    r"|reasonable|logical))\b(?! for| that| in| about)",
    re.IGNORECASE,
)
_THEREFORE = re.compile(
    r"(?:^|[\s,;(*])(?:therefore|thus|so|hence|consequently|ergo|in conclusion|in short"
    r"|overall)[*_]{0,2}[,:]?[*_ ]{1,4}"
    r"(?:(?:it|this|that|the answer|my answer)(?:'s| is| must be| would be)[ ])?(?:we (?:get|have|choose)[ ])?"
    rf"(?:(?:the )?{_THING}[ ])?{_LETTER}[*_\"'`)\]}}$\u201d]{{0,4}}(?:\.|!|$)",
    re.IGNORECASE,
)
_CHOSEN = re.compile(
    rf"(?:\u6545\u9009|\u6240\u4ee5\u9009|\u56e0\u6b64\u9009|\u5e94\u9009|\u6211\u9009|\u9009\u62e9"
    rf"|\u9009\u9879|\u9009)[:\uff1a]?{_LETTER}"
)
_BARE = re.compile(
    r"(?:^|[\s,;])(?:(?:conclusion|final|verdict)[*_]{0,2}:|(?:it|this|that)(?:'s| is| must be| should be| has to be)"
    r"|i(?: would|'d)?[ ](?:say|think|believe|guess|answer))(?: it'?s?(?: is)?| that)?[ :]"
    rf"(?:(?:the )?{_THING}[ ])?{_LETTER}[*_\"')\]]{{0,4}}(?:[.!,]|$)",
    re.IGNORECASE,
)
_ONLY = re.compile(
    rf"(?:^|[\s,;])only (?:{_THING} )?{_LETTER}[*_\"')\]]{{0,4}} "
    r"(?:fits|works|holds|matches|satisfies|applies|remains|is left)\b",
    re.IGNORECASE,
)
_STRONG = (_NAMED, _TAKEN, _THEREFORE, _CHOSEN)
_WEAK = (_PRAISED, _BARE, _ONLY)
_NOT = re.compile(
    r"\b(?:not|never|cannot|can't|don't|doesn't|didn't|isn't|wouldn't|won't|neither|nor)\b(?!.{0,30}(?:;|[,]\s?(?:so|but|it|it's"
    r"|it\u2019s|thus|hence|therefore)\b))|\b(?:if|whether|why)\b",
    re.IGNORECASE,
)
_SENTENCE = re.compile(r"[.!?\u3002](?:[*_\"')\]]{0,4})\s|\n")
_HINTS = re.compile(
    r"correct|right|bet?ter|best|choice|option|answer|choos|chose|pick|select|go(?:ing)? (?:with|for)"
    r"|opt for|settle|vote for|lean|conclu|stick with"
    r"|true|valid|accurate|appropriate|plausible|therefore|thus|\bso\b|hence|consequently|ergo|final"
    r"|overall|verdict|in short"
    r"|\bonly\b|conclusion|\u9009|\bi \w|\bi'd|\bit\b|\bthis\b|\bthat\b|statement",
    re.IGNORECASE,
)
_VERDICT = re.compile(
    r"[ \t*_\-\u2022>]{0,8}(?:option "
    r"|choice )?[(\[]?([A-Z])[)\].:*_]{1,4}[^\n]{0,300}?(?:[:\-\u2013\u2014=(]|\u2192|->)[ *_]{0,4}"
    r"(?:(?P<yes>yes|correct|true|right|\u2713|\u2714|\u2705)|(?P<no>no|incorrect|wrong|false"
    r"|not [^\n]{1,60}|\u2717|\u2718|\u274c))[ .)!*_\ufe0f]{0,5}$",
    re.IGNORECASE,
)
_PLAIN_VERDICT = re.compile(
    r"[ \t*_\-\u2022>]{0,8}[(\[]?([A-Z])(?:[)\].:*_]{1,4}[ *_]{1,4}"
    r"(?:(?P<yes>yes|correct|right|true)|(?P<no>no|incorrect|wrong|false|not correct))"
    r"|[)\].:*_ ]{1,4}(?:(?P<tick>[\u2713\u2714\u2705])|(?P<cross>[\u2717\u2718\u274c])))"
    r"[ .)!*_\ufe0f]{0,5}$",
    re.IGNORECASE,
)
_TICKED = re.compile(
    r"[ \t*_\-\u2022>]{0,8}[(\[]?([A-Z])[)\].:*_]{1,4}[^\n]{0,300}?(?:[\u2713\u2714\u2705]"
    r"|[(\u2190][ ]?correct(?: answer)?\)?)[ *_\ufe0f]{0,5}$"
)
AGAINST = re.compile(
    r"[*_\"')\].:]{0,4}(?!,| because\b| since\b| as\b)[^.;,\n]{0,80}?\b(?:is|are|was|were|seems|looks"
    r"|would be|can be|must be)(?:n't| not|[ ](?:\w{1,12}[ ]){0,2}?(?:wrong|incorrect|false|invalid|out\b"
    r"|too\b|eliminated|ruled|impossible|irrelevant|inaccurate))",
    re.IGNORECASE,
)
"""What a sentence goes on with after an option that it rejects."""
BEFORE_AGAINST = re.compile(
    r"\b(?:not|than|unlike|isn't|eliminate|exclude|reject|rule out|ruled out|instead of)[ ](?:option "
    r"|choice )?[*_(\[\"']{0,4}$",
    re.IGNORECASE,
)
"""What stands before an option that a sentence rejects."""


_ASIDE = re.compile(
    r"\bwhether\b.*|(?:^|,| and) ?not (?!true\b|false\b)[^,.;:)]*|\b(?:rather than|instead of|unlike) [^,.;)]*",
    re.IGNORECASE,
)
_DENIED = re.compile(
    r"\b(?:not|cannot be|can't be|could not be|isn't)[ ](true|false|correct|incorrect|valid|invalid|right|wrong)\b",
    re.IGNORECASE,
)
_OTHER = {"true": "false", "correct": "incorrect", "valid": "invalid", "right": "wrong"}
_OTHER |= {other: one for one, other in _OTHER.items()}
_CORRECTED = re.compile(
    r"(?:^|[.!?\n][*_\"')\]]{0,3}\s{1,4})(?:actually|wait|correction|no,|hmm|hold on|on second thoughts?"
    r"|scratch that|sorry|oops|let me correct|i made (?:a|an) (?:mistake|error)|i was wrong|my mistake)\b",
    re.IGNORECASE,
)
_MAX_CORRECTION_CHARS = 1_000


def corrected_letters(text: str) -> Iterator[tuple[str, str]]:
    """The letters chosen in what follows "Actually," and the like at the end of a text, last first: what was said
    before is taken back."""
    tail = text[-_MAX_CORRECTION_CHARS:]
    for place in list(_CORRECTED.finditer(tail))[-1:]:
        rest = tail[place.start() :].lstrip(".!? \n*_\"')]")
        yield from chosen_letters(rest)
        yield from praised_letters(rest)


def chosen_letters(text: str) -> Iterator[tuple[str, str]]:
    """The letters that sentences surely choose, each with its sentence; of the last `MAX_SENTENCES`, last first."""
    return _letters(text, _STRONG, MAX_SENTENCES)


def praised_letters(text: str) -> Iterator[tuple[str, str]]:
    """The letters that the last three sentences call right, last first: further off it may be a step of reasoning."""
    return _letters(text, _WEAK, LAST_SENTENCES)


def _letters(text: str, patterns: tuple[re.Pattern[str], ...], most: int) -> Iterator[tuple[str, str]]:
    for sentence in reversed(_SENTENCE.split(text)[-most:]):
        if len(sentence) > _MAX_SENTENCE_CHARS or not _HINTS.search(sentence):
            continue
        found = [match for pattern in patterns for match in pattern.finditer(sentence)]
        for match in sorted(found, key=lambda match: (match.end(), match.start())):
            if not _NOT.search(sentence, max(0, match.start() - 30), match.end()):
                yield next(letter for letter in match.groups() if letter).upper(), sentence.strip()
                break


def lone_verdict(text: str, plain: bool = True) -> str | None:
    """The one letter that a list of the options ticks, or says yes to beside others ("B) Paris: yes"); else None.

    `plain`: "B: yes" is a verdict too; not where an option's own text is "yes".
    """
    lines = [line[:_MAX_SENTENCE_CHARS] for line in text.splitlines()[-40:]]
    found = [verdict for line in lines if (verdict := _VERDICT.fullmatch(line))]
    ticked = {tick[1] for line in lines if (tick := _TICKED.fullmatch(line))}
    if plain and not found and not ticked:
        bare = [verdict for line in lines if (verdict := _PLAIN_VERDICT.fullmatch(line))]
        right = {verdict[1].upper() for verdict in bare if verdict["yes"] or verdict["tick"]}
        return right.pop() if len(bare) > 1 and len(right) == 1 else None
    right = {verdict[1].upper() for verdict in found if verdict["yes"]}
    said = ticked or (right if len(found) > 1 else set())
    return said.pop() if len(said) == 1 else None


def is_rejected(found: re.Match[str]) -> bool:
    """True for the letter of an option that its sentence rules out: "not (C)", "(C) is wrong"."""
    text = found.string
    before = text[max(0, found.start() - 30) : found.start()]
    return BEFORE_AGAINST.search(before) is not None or AGAINST.match(text, found.end()) is not None


def turned(line: str) -> str:
    """The line with a verdict that is denied turned into the other one, and without what it says of other options."""
    return _ASIDE.sub("", _DENIED.sub(lambda denied: _OTHER[denied[1].lower()], line))
