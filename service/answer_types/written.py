"""The normalised form of short written text."""

import re
import unicodedata

from service.answer_types.reading import unwrap

_ARTICLE = re.compile(r"(?:(?:the|an?)[ ])+(?=\S)")
_MARKS = "\"'`*_.,;:!?()[]{} "


def normal_form(text: str) -> str:
    """NFKC, case folded, white space collapsed, wrappers, outer punctuation and a leading article dropped.

    Applying it twice changes nothing. Empty for texts without a letter, digit or sign.
    """
    form = unicodedata.normalize("NFKC", unwrap(text)).replace("\u2019", "'").replace("\u2212", "-")
    while True:
        folded = unicodedata.normalize("NFKC", " ".join(unwrap(form).casefold().split())).strip(_MARKS)
        article = _ARTICLE.match(folded)
        folded = folded[article.end() :] if article else folded
        if folded == form:
            return form
        form = folded
