"""Texts that give no answer: "I don't know", refusals, and placeholders. A closed list, in English and a few languages.

What a question may have for an answer is none of them: "unknown", "none", "cannot be determined" and "not enough
information" are answers. Nor is a text that goes on to a guess ("I'm not sure, but I think it is Paris"). The forms are
those of `normal_form`: case-folded, so that a sharp s is "ss".
"""

import re

from service.answer_types.written import normal_form

_MAX_CHARS = 600
_I = r"(?:(?:sorry|well|hmm|honestly|unfortunately|apologies|to be honest|my apologies),? )?(?:but )?i(?:'m|'ve|'d)?"
_REST = (
    r"(?:[ ,](?:(?!\b(?:but|however|although|though|guess|think|believe|probably|perhaps|maybe"
    r"|might be)\b).){0,200})?"
)
_PATTERNS = (
    rf"{_I} (?:really |honestly |simply |just |still )?(?:do not|don't|did not|didn't|dont"
    rf"|wouldn't) (?:really |actually )?know{_REST}",
    r"(?:sorry, )?(?:i )?(?:really )?(?:don't|dont|do not) know(?: (?:the answer|that|this|it"
    r"|that one|this one))?|idk|dunno|i dunno",
    rf"(?:{_I} (?:am |have |really )?(?:have )?)?(?:absolutely )?no (?:idea|clue){_REST}",
    r"beats me|search me|who knows|your guess is as good as mine|no answer|no comment|pass|i pass"
    r"|not sure|unsure|i give up|\?+",
    rf"{_I} (?:am )?(?:really |quite |still )?(?:not (?:really |quite |entirely |completely )?(?:sure"
    rf"|certain)|unsure|uncertain){_REST}",
    rf"{_I} (?:cannot|can't|can not|could not|couldn't|won't|will not|would not|am unable to|unable to"
    rf"|am not able to|not able to|refuse to"
    rf"|must decline|decline) (?:(?:to )?(?:help|assist|answer|respond|comply|provide|do that|do this"
    rf"|fulfill|fulfil|say|tell|engage|discuss|comment|solve"
    rf"|determine the answer|find the answer|complete|continue|give|offer|share)\b){_REST}",
    rf"(?:i'm|i am|we're|we are)? ?(?:very |so |i )?(?:sorry|afraid|apologi[sz]e),? ?(?:but "
    rf"|that )?(?:i|we)? ?(?:can't|cannot|can not|couldn't|don't|am unable|am not able"
    rf"|won't|do not|have no|am not sure)\b{_REST}",
    rf"as an ai\b.{{0,300}}|{_I} (?:am )?(?:just |only )?an ai\b.{{0,300}}",
    rf"{_I} (?:do not|don't|don't currently|do not currently) (?:actually )?(?:have|possess) (?:any "
    rf"|enough |sufficient |access |the |an )?"
    rf"(?:access|information|info|knowledge|context|data|ability|(?:an )?answer|capability|idea|clue)\b{_REST}",
    r"i need more (?:information|context|details)\b.{0,200}|it is beyond my (?:knowledge|ability)\b.{0,100}",
    # German, French, Spanish, Portuguese, Italian, Dutch
    r"(?:ich )?weiss (?:es |das |ich )?(?:leider )?nicht\b.{0,60}"
    r"|(?:ich habe )?(?:leider )?keine ahnung|das weiss ich (?:leider )?nicht"
    r"|ich bin (?:mir )?(?:da |leider )?nicht sicher|(?:es )?tut mir leid,? .{0,40}\b(?:kann"
    r"|weiss)\b.{0,100}|ich kann .{0,60}nicht (?:beantworten|helfen).{0,40}",
    r"je ne sais pas\b.{0,60}|(?:je n'ai )?aucune id\u00e9e|je n'en sais rien"
    r"|je ne suis pas s\u00fbre?|(?:je suis )?d\u00e9sol\u00e9e?,? .{0,20}\b(?:peux|sais|puis)\b.{0,100}"
    r"|je ne (?:peux|puis) pas (?:r\u00e9pondre|vous aider|t'aider)\b.{0,100}",
    r"(?:yo )?no (?:lo )?s\u00e9|no (?:lo )?s\u00e9 la respuesta|(?:no tengo )?ni idea|no tengo idea"
    r"|no estoy segur[oa]|lo siento,? .{0,20}\bno (?:puedo|s\u00e9|tengo)\b.{0,100}"
    r"|no puedo (?:ayudar|responder)\b.{0,100}",
    r"(?:eu )?n\u00e3o sei\b.{0,60}|n\u00e3o fa\u00e7o ideia|n\u00e3o tenho (?:a )?(?:certeza|ideia)"
    r"|desculpe,? .{0,20}\bn\u00e3o (?:posso|sei)\b.{0,100}",
    r"non (?:lo )?so\b.{0,40}|non ne ho idea|nessuna idea|non sono sicur[oa]"
    r"|mi dispiace,? .{0,20}\bnon (?:posso|so)\b.{0,100}",
    r"(?:ik )?weet (?:ik )?(?:het )?niet|geen idee|ik weet het niet zeker"
    r"|het spijt me,? .{0,20}\b(?:kan|weet)\b.{0,100}",
    # Polish, Russian, Ukrainian, Turkish
    r"nie wiem|nie mam poj\u0119cia|(?:\u044f )?\u043d\u0435 \u0437\u043d\u0430\u044e"
    r"|(?:\u043f\u043e\u043d\u044f\u0442\u0438\u044f \u043d\u0435 \u0438\u043c\u0435\u044e)"
    r"|(?:\u044f )?\u043d\u0435 \u0443\u0432\u0435\u0440\u0435\u043d\u0430?|bilmiyorum|hi\u00e7bir fikrim yok",
    # Chinese, Japanese, Korean
    r"(?:\u62b1\u6b49[\uff0c,]? ?)?(?:\u6211)?(?:\u4e0d\u77e5\u9053|\u4e0d\u6e05\u695a"
    r"|\u4e0d\u786e\u5b9a|\u65e0\u6cd5\u56de\u7b54|\u4e0d\u4f1a)(?:\u7b54\u6848"
    r"|\u8fd9\u4e2a\u95ee\u9898)?|\u62b1\u6b49[\uff0c,]? ?\u6211(?:\u65e0\u6cd5|\u4e0d\u80fd).{0,60}",
    r"(?:\u308f\u304b\u308a|\u5206\u304b\u308a|\u77e5\u308a)\u307e\u305b\u3093|(?:\u308f\u304b\u3089"
    r"|\u5206\u304b\u3089|\u77e5\u3089)\u306a\u3044"
    r"|\u7533\u3057\u8a33(?:\u3042\u308a\u307e\u305b\u3093|\u3054\u3056\u3044\u307e\u305b\u3093).{0,80}",
    r"(?:\uc798 )?(?:\ubaa8\ub974\uaca0\uc2b5\ub2c8\ub2e4|\ubaa8\ub985\ub2c8\ub2e4"
    r"|\ubaa8\ub974\uaca0\uc5b4\uc694|\ubaa8\ub77c\uc694)|\uc8c4\uc1a1.{0,80}",
)
_NONE = re.compile("|".join(f"(?:{pattern})" for pattern in _PATTERNS))
_FIRM = re.compile(
    rf"(?:i'm|i am|we're|we are)? ?(?:very |so |i )?(?:sorry|afraid|apologi[sz]e),? ?(?:but "
    rf"|that )?(?:i|we) ?(?:can't|cannot|can not|am unable|am not able|won't)\b{_REST}"
    rf"|{_I} (?:cannot|can't|can not|am unable to|am not able to|won't|must decline) (?:to )?(?:help"
    rf"|assist|comply|fulfill|fulfil|engage|discuss)\b{_REST}"
    r"|as an ai\b.{0,300}"
)
_SENTENCE = re.compile(r"(?<=[.!?])\s+|\n+")
_MAX_SENTENCES = 8


def gives_none(text: str) -> bool:
    """True if the text is nothing but sentences that give no answer, or opens with one that refuses."""
    if not text or len(text) > _MAX_CHARS:
        return len(text) > _MAX_CHARS and _refuses(text[:_MAX_CHARS])
    sentences = [form for part in _SENTENCE.split(text.strip())[:_MAX_SENTENCES] if (form := normal_form(part))]
    return bool(sentences) and (all(map(_NONE.fullmatch, sentences)) or _FIRM.fullmatch(sentences[0]) is not None)


def _refuses(text: str) -> bool:
    return _FIRM.fullmatch(normal_form(_SENTENCE.split(text.strip(), maxsplit=1)[0])) is not None
