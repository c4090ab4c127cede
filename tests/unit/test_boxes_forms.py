"""How models write points and boxes, each form read as the same one."""

import pytest

from service.answer_types.boxes import Boxes, BoxesOptions
from service.answer_types.regions import FRACTION_SIDE, POINT_SIDE, point_side
from service.candidates import Task

TASK = Task("Where is the button?")


def answer(text: str) -> str | None:
    """The region found in a text."""
    found = Boxes().extract(text, TASK)
    return found.answer if found else None


@pytest.mark.parametrize(
    "text",
    [
        "10, 20",
        "10 20",
        "**10, 20**",
        "The answer is 10, 20.",
        "Coordinates: 10, 20",
        "x: 10, y: 20",
        "X: 10, Y: 20",
        "x=10 y=20",
        "x: 10\ny: 20",
        "**x**: 10, **y**: 20",
        '{"x": 10, "y": 20}',
        '{"x": 10.0,\n  "y": 20.0}',
        "(10px, 20px)",
        "x: 10px, y: 20px",
        "<loc_10><loc_20>",
        "<click>10, 20</click>",
        '{"coordinate": "10, 20"}',
        '{"coordinate": "(10, 20)"}',
        '{"coordinates": {"x": 10, "y": 20}}',
        '{"point_2d": [[10, 20]]}',
        "pyautogui.click(10, 20)",
        "pyautogui.moveTo(x=10, y=20, duration=1)",
        "click(start_box='<|box_start|>(10,20)<|box_end|>')",
        "Thought: t\nAction: click(point='<point>10 20</point>')",
        "CLICK <point>[[10,20]]</point>",
        "{'action': 'CLICK', 'value': None, 'position': [10, 20]}",
        '{"action_type":"click","x":10,"y":20}',
        '{"type": "click", "x": 10, "y": 20, "button": "left"}',
        (
            '<tool_call>\n{"name": "computer_use", "arguments": {"action": "left_cli'
            'ck", "coordinate": [10, 20]}}\n</tool_call>'
        ),
        '<point x="10.0" y="20.0" alt="OK">OK</point>',
        "center_x: 10, center_y: 20",
        '{"cx": 10, "cy": 20}',
        "The x-coordinate: 10, y-coordinate: 20",
        "tap(10, 20)",
        "adb shell input tap 10 20\nPoint: 10 20",
        "[\n    10,\n    20\n]",
        "The button is at (10, 20).",
        "I would click at coordinates (10, 20) to open it.",
        '{"left": 10, "top": 20}',
        "<coordinate>[10, 20]</coordinate>",
        '<parameter name="coordinate">[10, 20]</parameter>',
        "$(10, 20)$",
        "\\boxed{10, 20}",
        "(10,20)",
        "Click: 10, 20",
    ],
)
def test_a_point_is_known_in_every_form(text: str) -> None:
    """Qwen-VL, UI-TARS, OS-Atlas, Molmo, Claude, pyautogui, JSON and words."""
    assert answer(text) == "[10, 20]"


@pytest.mark.parametrize(
    "text",
    [
        '{"x":10,"y":20,"width":20,"height":20}',
        '{"x": 10,\n      "y": 20,\n      "width": 20,\n      "height": 20}',
        "x=10, y=20, w=20, h=20",
        '{"left":10,"top":20,"right":30,"bottom":40}',
        '{"left":10,"top":20,"width":20,"height":20}',
        '{"xmin":10,"ymin":20,"xmax":30,"ymax":40}',
        "x_min: 10, y_min: 20, x_max: 30, y_max: 40",
        '{"x0":10,"y0":20,"x1":30,"y1":40}',
        '{"x1":10,"y1":20,"x2":30,"y2":40}',
        '{"bbox": {"x1": 10, "y1": 20, "x2": 30, "y2": 40}}',
        '{"bbox": {"x": 10, "y": 20, "width": 20, "height": 20}}',
        '{"x": 10, "y": 20, "label": "OK", "width": 20, "height": 20}',
        "top-left (10, 20), bottom-right (30, 40)",
        "The top left corner is at (10, 20) and the bottom right corner is at (30, 40).",
        "Upper-left: (10, 20); lower-right: (30, 40)",
        "(10, 20) to (30, 40)",
        "from (10, 20) to (30, 40)",
        "(10, 20) - (30, 40)",
        "(10,20),(30,40)",
        "<loc_10><loc_20><loc_30><loc_40>",
        "button<loc_10><loc_20><loc_30><loc_40>",
        "<loc0020><loc0010><loc0040><loc0030> button",
        "<ref>OK</ref><box>(10,20),(30,40)</box>",
        "<|object_ref_start|>OK<|object_ref_end|><|box_start|>(10,20),(30,40)<|box_end|>",
        '```json\n[\n\t{"bbox_2d": [10, 20, 30, 40], "label": "OK"}\n]\n```',
        "CLICK(box=[[010,020,030,040]], element_info='OK')",
        "Grounded Operation: tap [[010,020,030,040]]",
        "<|ref|>OK<|/ref|><|det|>[[10, 20, 30, 40]]<|/det|>",
        "<|begin_of_box|>[[10,20,30,40]]<|end_of_box|>",
        "<box>[[10, 20, 30, 40]]</box>",
        "[[10, 20], [30, 40]]",
        '{"box": [[10, 20], [30, 40]]}',
        "bbox: [10 20 30 40]",
        "Bounding box: 10, 20, 30, 40",
        "10, 20, 30, 40",
        "10 20 30 40",
        "The answer is 10, 20, 30, 40.",
        '{"bounding_box": [10, 20, 30, 40]}',
        '{"cx": 20, "cy": 30, "w": 20, "h": 20}',
        "(x1, y1, x2, y2) = (10, 20, 30, 40)",
        "x1=10, y1=20, x2=30, y2=40",
        "left: 10, top: 20, right: 30, bottom: 40",
        "Left: 10px, Top: 20px, Width: 20px, Height: 20px",
        "(30, 40), (10, 20)",
        "<bbox>10,20,30,40</bbox>",
        "[\n      10,\n      20,\n      30,\n      40\n    ]",
    ],
)
def test_a_box_is_known_in_every_form(text: str) -> None:
    """Corners in order, or one corner or the centre with width and height."""
    assert answer(text) == "[10, 20, 30, 40]"


@pytest.mark.parametrize(
    "text",
    [
        "42",
        "(1)",
        "[1, 2, 3]",
        "width=10, height=20",
        "1, 2, 3",
        "I see 3 buttons.",
        "No element matches.",
        "In 2024, 5 of them",
        '{"score": 0.9}',
        "Step 1: 2 things",
        "<loc_1>",
        "<loc_1><loc_2><loc_3>",
        "(10, 20, 30)",
        "x = 10",
        '{"x": 900000000, "y": 1, "width": 900000000, "height": 2}',
    ],
)
def test_numbers_that_are_no_region_give_none(text: str) -> None:
    """Too few, too many, too large, or of something else."""
    assert answer(text) is None


@pytest.mark.parametrize(
    ("text", "region"),
    [
        ("(1, 2) or (3, 4)", "[3, 4]"),
        ("From (1, 2) and (3, 4)", "[3, 4]"),
        ("drag(start_box='(1,2)', end_box='(3,4)')", "[3, 4]"),
        ("x=1, y=2, x=3, y=4", "[3, 4]"),
        ("(1, 2), then width=10, height=20", "[1, 2]"),
        ("top-left (1, 2), top-right (3, 4)", "[3, 4]"),
        ('[{"bbox_2d": [1, 2, 3, 4]}, {"bbox_2d": [5, 6, 7, 8]}]', "[5, 6, 7, 8]"),
    ],
)
def test_of_several_regions_the_last_counts(text: str, region: str) -> None:
    """Two points are a box only where something says so."""
    assert answer(text) == region


@pytest.mark.parametrize(
    ("left", "right", "same"),
    [
        ("(0.1, 0.1)", "(0.9, 0.9)", False),
        ("(0.5, 0.5)", "(0.51, 0.5)", True),
        ("(0.5, 0.5)", "(0.53, 0.5)", False),
        ("(0.5, 0.5)", "(1, 1)", False),
        ("(0.5, 0.5)", "(0.52, 0.48)", False),
        ("(0, 0)", "(3, 4)", True),
        ("(1, 0)", "(0, 1)", True),
        ("(0, 0)", "(0.5, 0.5)", False),
        ("(0.5, 0.5)", "(500, 500)", False),
        ("(0.5, 0.5)", "[0.475, 0.475, 0.525, 0.525]", True),
        ("(500, 500)", "(510, 500)", True),
    ],
)
def test_a_point_is_as_large_as_the_scale_has_it(left: str, right: str, same: bool) -> None:
    """Of fractions of the screen a square of 50 would hold every other point; a side that is given holds as it is."""
    a, b = (Boxes().extract(text, TASK) for text in (left, right))
    assert a is not None
    assert b is not None
    assert Boxes().same(a, b) is Boxes().same(b, a) is same
    if same:
        assert Boxes(BoxesOptions(point_side=1e-4)).same(a, b) is (a.key == b.key)


def test_the_scale_is_that_of_all_answers() -> None:
    """Whole numbers alone say nothing."""
    assert point_side([(0.5, 0.5), (1.0, 0.0)]) == FRACTION_SIDE
    assert point_side([(0.0, 1.0)]) == POINT_SIDE
    assert point_side([(0.5, 0.5), (2.0, 2.0)]) == POINT_SIDE
    assert point_side([]) == POINT_SIDE
