"""What figures in a text look like: patterns for numbers, and for what makes figures a part of something else.

Every pattern is bounded, so that searching costs no more than the length of the text.
"""

import re

_GROUP = r"(?:,\\!|,|\{,\}|\\,|\\!,|[_\u00a0\u2009\u202f'\u2019])"
_SPACED = r"(?:,\\!|,|\{,\}|\\,|\\!,|[ _\u00a0\u2009\u202f'\u2019])"
_LAKHS = r"[0-9]{1,2}(?:,[0-9]{2})+,[0-9]{3}(?![0-9])"
_POINTED = (
    r"[1-9][0-9]{0,2}(?:\.[0-9]{3}(?:,(?:[0-9]{1,2}|[0-9]{4,})|(?:\.[0-9]{3})+,[0-9]+)(?![0-9.]|,[0-9]))"  # 1.234,5
)
_GAPPED = r"[1-9][0-9]{0,2}(?:[ \u00a0\u2009\u202f][0-9]{3})+,[0-9]{1,2}(?![0-9.,])"  # 1 234,50
EUROPEAN = re.compile(
    r"([0-9]{1,3}(?:\.[0-9]{3})+(?=,[0-9])|[0-9]{1,3}(?:[ \u00a0\u2009\u202f][0-9]{3})+(?=,[0-9]{1,2}\Z)),([0-9]+)"
)
"""A number with a decimal comma: what stands before it, and after."""

_MINUS = r"[-\u2212\u2010\u2011\u2012\ufe63\uff0d]"
_CURRENCY = r"(?:US\\?\$|USD[ ]?|EUR[ ]?|\\?\$|\\pounds[ ]?|[\u20ac\u00a3\u00a5\u20b9])"
_PERCENT = r"(?:[ ]?\\?%|[ ]per[ ]?cent\b)"
_TIMES_TEN = r"(?:\\times|\\cdot|[\u00d7*x\u00b7])[ ]?10"
TIMES_TEN = re.compile(_TIMES_TEN)
_RAISED = r"[\u207b\u207a]?[\u2070\u00b9\u00b2\u00b3\u2074-\u2079]"
_EXPONENT = (
    r"(?:[ ]?\^[ ]?|\*\*)(?:\{[ ]?(?P<braced>[-\u2212]?[0-9]{1,4})[ ]?\}|(?P<bare>[-\u2212]?[0-9]{1,4}))"
    rf"|(?P<raised>{_RAISED}{{1,4}})"
)


def _pattern(group: str, european: str) -> str:
    """What a number looks like behind its sign."""
    grouped = rf"(?!0)[0-9]{{1,3}}(?:{group}[0-9]{{3}})+(?![0-9])"
    plain = rf"(?:{european}|(?:{grouped}|{_LAKHS}|[0-9]+)(?:\.[0-9]+)?|(?<!\.)\.[0-9]+)"
    power = (
        rf"[eE][-+\u2212]?[0-9]+|[ ]?{_TIMES_TEN}(?:(?:\^|\*\*)(?:\{{[ ]?[-+\u2212]?[0-9]+[ ]?\}}|[-+\u2212]?[0-9]+)"
        rf"|{_RAISED}+)"
    )
    number = rf"(?:{plain})(?:{power})?"
    part = rf"\{{[ ]?([-\u2212]?{number})[ ]?\}}"
    latex = rf"\\[dtc]?frac[ ]?(?:{part}[ ]?{part}|([0-9])[ ]?([0-9])|([0-9])[ ]?\{{([0-9]+)\}})"
    return (
        rf"(?P<currency>{_CURRENCY}[ ]?)?(?P<inner>{_MINUS})?"
        rf"(?:(?P<whole>[0-9]+)?[ ]?(?:\\ )?(?P<latex>{latex})"
        r"|(?P<mixed>[0-9]+)[ ](?:and[ ])?(?P<up>[0-9]+)[/\u2044](?P<down>[0-9]+)(?![0-9]|[ ]?/)"
        rf"|(?P<base>{plain})(?:{_EXPONENT})(?!\.?[0-9]|[ ]?[\^/*!(]|\}}|[A-Za-z\\])"
        rf"|(?P<over>{number})[ ]?[/\u2044][ ]?(?P<under>{number})(?![0-9]|[ ]?/)"
        rf"|(?P<number>{number}))"
        rf"(?P<percent>{_PERCENT})?(?:[ ](?P<scale>hundred|thousand|million|billion|trillion)\b)?"
        r"(?:(?(currency)(?P<short>[kKmMbBT]|[ ]?(?:[mM]n|mln|[bB]n|tn))|[ ]?(?P<shorter>bn|mln))(?![A-Za-z0-9^]))?"
    )


_PLAIN_FRACTION = r"\{[ ]?[-\u2212]?[0-9.,]+[ ]?\}[ ]?\{[ ]?[-\u2212]?[0-9.,]+[ ]?\}|[0-9][ ]?[0-9{]"
_BEFORE = (
    r"\\sqrt(?:\[[0-9]{1,3}\])?[ ]?\{?|\u221a[({]?"
    r"|(?:\u00b1|\\pm|\+/-)[ ]?"
    r"|\^[({]{0,2}[-\u2212+]?"
    r"|(?<![A-Za-z0-9\\])[a-z]/[ ]?|(?<=[)\]}])[ ]?/[ ]?|(?<=[0-9])/-"  # x/2, (x+1)/2, 1/-2
    rf"|(?!\\[dtc]?frac[ ]?(?:{_PLAIN_FRACTION}))\\[dtc]?frac\{{(?:[^{{}}]{{0,80}}\}}\{{)?"
)
_NO_EXPONENT = r"\{?[ ]?(?:\\circ|\\degree|o\b|\\?[a-z]{0,6}\{?(?:st|nd|rd|th)\b)"  # degrees and ordinals
_COMPOUND = (
    r"[ ]?(?:(?:feet|foot|ft)(?=.{1,24}\bin(?:ch(?:es)?)?\b)|(?:hours?|hrs?|h)(?=.{1,24}\bm(?:in(?:ute)?s?)?\b)"
    r"|(?:minutes?|mins?)(?=.{1,24}\bs(?:ec(?:ond)?s?)?\b)|(?:pounds?|lbs?)(?=.{1,24}\b(?:oz|ounces?)\b)"
    r"|(?:years?|yrs?)(?=.{1,24}\bmonths?\b)|weeks?(?=.{1,24}\bdays?\b)|days?(?=.{1,24}\bhours?\b))"
    r"(?:[ ]|,[ ])(?:and[ ])?[0-9]{1,9}(?:\.[0-9]{1,9})?(?=[ ]?[a-z])"
)
"""What makes "5 feet 3 inches" two figures of one length."""
_SPOILT = (
    r"(?::[0-9]{1,20})+|(?:\.{1,3}[0-9]{1,20})+|(?:,[0-9]{1,20})+"  # a ratio or time, a version, a list without spaces
    r"|/[0-9]{1,4}/[0-9]{1,4}|-[0-9]{1,2}-[0-9]{1,4}(?![0-9])"
    r"|[ ]?[\u2013\u2014][ ]?[0-9.,]{1,20}"
    r"|[ ]?(?:\u00b1|\\pm|\+/-)[ ]?[0-9.]{0,20}"
    r"|[ ]?(?:(?=\\sqrt|\u221a)|\\pi\b|\u03c0)"
    rf"|(?:[ ]|\))?\^(?!{_NO_EXPONENT})(?:\{{[^{{}}]{{0,60}}\}}|\([^()]{{0,60}}\)|[-A-Za-z0-9.]{{0,20}})"
    r"|(?:(?:\*\*|[ ]\*\*[ ])\(?[-+]?(?:[0-9]{1,20}(?:\.[0-9]{1,20})?|\.[0-9]{1,20})\)?){1,20}"
    r"|-[0-9]{1,20}(?:\.[0-9]{1,20})?(?![0-9]|-)"  # a range
    r"|['\u2019\u2032][ ]?[0-9]{1,2}(?:[\"\u201d\u2033]|''|\u2032\u2032)"  # feet and inches
    rf"|{_COMPOUND}"
    r"|(?<=0)[xXb][0-9a-fA-F]{1,40}|[abiknqxyzBKM](?![A-Za-z0-9_'\u2019])"
    r"|(?:\u00b0|\^\{?\\circ\}?)[ ]?[0-9][0-9.'\" \u2032\u2033]{0,12}"
)
AREA = re.compile(
    r"(?:^|[^A-Za-z])(?:mm|cm|m|km|in|inch|inches|ft|feet|yd|yards|mi|miles|s|units?|meters?|metres?)[ }]{0,2}\Z"
)
"""What a figure after "^" belongs to, where that is a unit."""
FIND = re.compile(
    rf"(?:(?P<before>{_BEFORE})|(?<![A-Za-z0-9_])(?<![0-9]/)(?:(?<![)\]}}%])(?<![0-9)\]}}%] )"
    rf"(?P<sign>{_MINUS}|(?:(?<=[=(\[{{:])|(?<=[=:] )|(?<=\bis ))\u2013))?)"
    rf"{_pattern(_GROUP, _POINTED)}(?P<spoilt>{_SPOILT})?"
)
"""Figures within a text. `before`, `spoilt`: what makes them a part of something that is no number."""
WHOLE = re.compile(
    r"(?:(?:approximately|approx\.?|about|around|roughly|nearly|only|exactly|a total of|\u2248|~|\\approx|=)[ ]?)?"
    rf"(?P<sign>{_MINUS}|[\u2013+]|minus[ ]|negative[ ])?[ ]?{_pattern(_SPACED, f'{_GAPPED}|{_POINTED}')}",
    re.IGNORECASE,
)
"""The number that a whole text begins with; `UNIT` is what may follow."""
_SQUARE = r"\^\{?[23]\}?"
UNIT = re.compile(
    r"(?:\^\{?\\circ\}?|\u00b0)?[ ~]?(?:\\[ ,;!])?[ ]?"
    rf"(?:\\(?:text|mathrm|mbox|textrm)\{{(?P<styled>[^{{}}0-9]{{0,60}})\}}(?:{_SQUARE})?"
    rf"|(?:(?<=[ ~])[ms]|[cmk]m|in|ft|yd|mi|inches|feet|miles|units?){_SQUARE}|[\u20ac\u00a3\u00a5\u20b9\u00a2]"
    r"|(?P<words>[^\W\d_][^\d=+*<>\\()\[\]{}|;:$]{0,60}[\u00b2\u00b3]?))?"
    r"[$.]{0,2}"
)
