"""The words of dates: months in the languages that models answer in, and days in English words."""

import re

_MONTHS = {
    1: "jan january januar janvier enero gennaio janeiro januari",
    2: "feb february februar f\u00e9vrier fevrier febrero febbraio fevereiro februari",
    3: "mar march m\u00e4rz maerz mars marzo mar\u00e7o marco maart",
    4: "apr april avril abril aprile",
    5: "may mai mayo maggio maio mei",
    6: "jun june juni juin junio giugno junho",
    7: "jul july juli juillet julio luglio julho",
    8: "aug august ao\u00fbt aout agosto augustus",
    9: "sep sept september septembre septiembre settembre setembro",
    10: "oct october oktober octobre octubre ottobre outubro",
    11: "nov november novembre noviembre novembro",
    12: "dec december dezember d\u00e9cembre decembre diciembre dicembre dezembro",
}
_NUMBERS = {word: number for number, words in _MONTHS.items() for word in words.split()}
_ENGLISH = (
    r"jan(?:uary)?|feb(?:ruary)?|mar(?:ch)?|apr(?:il)?|may|june?|july?|aug(?:ust)?|sept?(?:ember)?|oct(?:ober)?"
    r"|nov(?:ember)?|dec(?:ember)?"
)
MONTH = rf"(?:{'|'.join(sorted(_NUMBERS, key=len, reverse=True))})\b"
DAY = r"[0-9]{1,2}(?:st|nd|rd|th)?"

_ORDINALS = (
    *("first", "second", "third", "fourth", "fifth", "sixth", "seventh", "eighth", "ninth", "tenth", "eleventh"),
    *("twelfth", "thirteenth", "fourteenth", "fifteenth", "sixteenth", "seventeenth", "eighteenth", "nineteenth"),
    "twentieth",
)
_DAYS = {word: str(number) for number, word in enumerate(_ORDINALS, 1)}
_DAYS |= {f"twenty{mark}{word}": str(20 + number) for number, word in enumerate(_ORDINALS[:9], 1) for mark in "- "}
_DAYS |= {"thirtieth": "30", "thirty-first": "31", "thirty first": "31"}
_DAY_WORD = "|".join(sorted(_DAYS, key=len, reverse=True))
_SPELLED = re.compile(
    rf"\b({_DAY_WORD})\b(?=[ ](?:day[ ])?(?:of[ ])?(?:{_ENGLISH})\b)"
    rf"|(?<=[a-z][ ])(?<!the[ ])({_DAY_WORD})\b(?=,?[ ][0-9]{{4}}\b)",
    re.IGNORECASE,
)
_ABBREVIATED = re.compile(r"\b(jan|feb|mar|apr|jun|jul|aug|sept?|oct|nov|dec)\.", re.IGNORECASE)
_DASH = re.compile(r"(?<=[0-9A-Za-z])[\u2010-\u2013\u2212](?=[0-9A-Za-z])")
_RAISED = re.compile(
    r"(?<=\b1)(?:er|\u00ba|\u00b0)(?=[ ][^\W\d_])"
    r"|(?<=[0-9])(?:\^\{?(?:\\text\{)?|<sup>|\\textsuperscript\{)(st|nd|rd|th)(?:\}{1,2}|</sup>|\b)",
    re.IGNORECASE,
)
_WRAPPED = re.compile(r"\\(?:text|mathrm|textbf)\{([^{}]{0,60})\}")
_SPACES = re.compile(r"(?:[ \t\u00a0\u2009\u202f~]|\\[ ,])+")


def plain(text: str) -> str:
    """Without what stands between the parts of a date: emphasis, the point of "Mar.", LaTeX, spaces of other widths.

    Days in words become figures, dashes hyphens.
    """
    text = _WRAPPED.sub(r"\1", _RAISED.sub(lambda mark: mark[1] or "", text.replace("*", "").replace("_", "")))
    text = _SPACES.sub(" ", _ABBREVIATED.sub(r"\1", _DASH.sub("-", text)))
    return _SPELLED.sub(lambda day: _DAYS[(day[1] or day[2]).lower()], text)


def month_number(word: str) -> int:
    """1 to 12, of a word that `MONTH` matches."""
    return _NUMBERS[word.lower()]
