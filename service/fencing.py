"""How a sample is shown to a model again: fenced, disarmed, capped.

A sample is untrusted text. The fence is derived from the request's seed and from all the samples, so that no sample can
foresee it, the same samples always get the same prompt, and it is checked to be in none of them; control tokens of chat
templates are broken up; each text is capped and loses its thinking.
"""

import hashlib
import re
import string
from collections.abc import Sequence

from service.answer_types.reading import strip_thinking

MAX_SAMPLE_CHARS = 8_000
_CONTROL = re.compile(
    r"<[|\uff5c][^|\uff5c<>]{0,64}[|\uff5c]>"
    r"|</?(?:s|bos|eos|pad|unk|mask|cls|sep|start_of_\w{1,24}|end_of_\w{1,24}|fim_\w{1,24}|unused_?\d{1,5}|extra_id_\d{1,5}"
    r"|tools?|tool_calls?|tool_response|function_calls?|think|thinking|image|audio|video)>"
    r"|<0x[0-9A-Fa-f]{2}>|<</?SYS>>|\[/?g?[A-Z]{3,16}(?:_[A-Z]{2,16}){0,3}\]"
)
"""Control tokens of the chat templates of Llama, Qwen, Gemma, Mistral, DeepSeek, GLM, T5 and gpt-oss, among others. The
torch backend reads any special token of its own tokenizer in a prompt as plain text, so there this is a second bar."""
_SENTENCE = re.compile(r"((?<=[.!?;])\s+|\n)")
CUT = "\n[...]\n"
"""Stands where the middle of a text was left out."""


def fence(seed: int, texts: Sequence[str]) -> str:
    """Eight letters that are in none of the texts, a function of the seed and the texts."""
    digest = hashlib.sha256(str(seed).encode())
    for text in texts:
        digest.update(hashlib.sha256(text.encode(errors="surrogatepass")).digest())
    while True:
        mark = "".join(string.ascii_lowercase[byte % 26] for byte in digest.digest()[:8])
        if not any(mark in text for text in texts):
            return mark
        digest.update(b"again")


def disarm(text: str, most_chars: int = MAX_SAMPLE_CHARS) -> str:
    """The text without thinking, with control tokens broken up, what it says over and over said twice, and cut in the
    middle to the cap (and a mark of the cut)."""
    shown = _CONTROL.sub(lambda match: match.group().replace("<", "< ").replace("[", "[ "), strip_thinking(text)[0])
    shown = _unrepeated(shown)
    if len(shown) > most_chars:
        half = most_chars // 2
        shown = f"{shown[:half]}{CUT}{shown[len(shown) - half :]}"
    return shown.strip()


def _unrepeated(text: str) -> str:
    """Without sentences and lines beyond the second of equal ones in a row: what is shouted is only said."""
    parts, kept = _SENTENCE.split(text), list[str]()
    for place in range(0, len(parts), 2):
        said = parts[place].strip()
        if said and len(kept) >= 4 and said == kept[-2].strip() == kept[-4].strip():
            continue
        kept += parts[place : place + 2]
    return "".join(kept)
