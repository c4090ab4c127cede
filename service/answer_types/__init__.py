"""Answer types: how an answer is found in a completion, and when two answers are equal."""

from service.answer_types.auto import Auto
from service.answer_types.base import AnswerType
from service.answer_types.boxes import Boxes
from service.answer_types.choice import Choice
from service.answer_types.date import Date
from service.answer_types.enumeration import List
from service.answer_types.json_value import JsonValue
from service.answer_types.mathematics import Math
from service.answer_types.number import Number
from service.answer_types.source_code import Code
from service.answer_types.text import Text
from service.answer_types.tool_call import ToolCall
from service.registry import Registry

ANSWER_TYPES: Registry[AnswerType] = Registry(
    "answer_types",
    (
        Auto,
        Boxes,
        Choice,
        Code,
        Date,
        JsonValue,
        List,
        Math,
        Number,
        Text,
        ToolCall,
    ),
)
