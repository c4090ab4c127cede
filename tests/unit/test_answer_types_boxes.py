"""The answer type `boxes` and the regions it stands on."""

import random

import pytest

from service.answer_types.boxes import Boxes, BoxesOptions, region
from service.answer_types.regions import Box, Votes, consensus, overlap
from service.candidates import Extraction, Task

TASK = Task("Where is the button?")


def found(text: str, **options: float) -> Extraction | None:
    """The region found in a text."""
    return Boxes(BoxesOptions.model_validate(options)).extract(text, TASK)


@pytest.mark.parametrize(
    ("text", "answer", "evidence"),
    [
        ('{"bbox_2d": [10, 20, 30, 40], "label": "OK"}', "[10, 20, 30, 40]", "json"),
        ('```json\n[{"bbox_2d": [10.0, 20, 30.50, 40]}]\n```', "[10, 20, 30.5, 40]", "json"),
        ('{"point_2d": [10, 20]}', "[10, 20]", "json"),
        ('{"action": "click", "coordinate": [10, 20]} at (3, 4)', "[10, 20]", "json"),
        ('{"bbox": [1, 2, 3, 4]} or {"bbox": [5, 6, 7, 8]}', "[5, 6, 7, 8]", "json"),
        ("<box>(10,20),(30,40)</box>", "[10, 20, 30, 40]", "tag"),
        ("<box>[[10, 20, 30, 40]]</box>", "[10, 20, 30, 40]", "tag"),
        ("<box>10 20 30 40</box>", "[10, 20, 30, 40]", "tag"),
        ("<|box_start|>(10,20)<|box_end|>", "[10, 20]", "tag"),
        ("<point>10 20</point>", "[10, 20]", "tag"),
        ("<point>(10, 20)</point> and (3, 4)", "[10, 20]", "tag"),
        (r"\boxed{(10, 20)} (3, 4)", "[10, 20]", "boxed"),
        (r"\boxed{10, 20}", "[10, 20]", "boxed"),
        ("The answer is (10, 20), not (3, 4).", "[10, 20]", "phrase"),
        ("From (1, 2) I go to [10, 20].", "[10, 20]", "last"),
        ("(10,20),(30,40)", "[10, 20, 30, 40]", "last"),
        ("[30, 40, 10, 20]", "[10, 20, 30, 40]", "last"),
        ("(0.25, 0.5)", "[0.25, 0.5]", "last"),
        ("(-1, -0.0)", "[-1, 0]", "last"),
        ("(0.12345678, 1)", "[0.123457, 1]", "last"),
        ("pyautogui.click(x=10, y=20)", "[10, 20]", "last"),
        ('<point x="10" y="20" alt="OK">OK</point>', "[10, 20]", "last"),
        ("click(start_box='(10,20)')", "[10, 20]", "last"),
    ],
)
def test_points_and_boxes_are_found_in_every_usual_form(text: str, answer: str, evidence: str) -> None:
    """Corners are put in order, numbers printed by value."""
    made = found(text)
    assert made is not None
    assert (made.answer, made.evidence) == (answer, evidence)


@pytest.mark.parametrize(
    "text", ["", "no idea", "42", "(1)", "[1, 2, 3]", "(a, b)", "1, 2, 3", "<box></box>", "f(1, 2", "(1e9, 2)"]
)
def test_what_is_no_region_gives_none(text: str) -> None:
    """Numbers amid prose need something around them."""
    assert found(text) is None


@pytest.mark.parametrize(
    ("left", "right", "options", "same"),
    [
        ("[0, 0, 10, 10]", "[0, 0, 10, 10]", {}, True),
        ("[0, 0, 10, 10]", "[0, 0, 10, 9]", {}, True),
        ("[0, 0, 10, 10]", "[5, 0, 15, 10]", {}, False),
        ("[0, 0, 10, 10]", "[5, 0, 15, 10]", {"overlap": 0.3}, True),
        ("[0, 0, 10, 10]", "[20, 20, 30, 30]", {"overlap": 0.01}, False),
        ("(100, 100)", "(110, 100)", {}, True),
        ("(100, 100)", "(140, 100)", {}, False),
        ("(100, 100)", "(110, 100)", {"point_side": 10}, False),
        ("(100, 100)", "[75, 75, 125, 125]", {}, True),
        ("(0.5, 0.5)", "(0.51, 0.5)", {"point_side": 0.1}, True),
        ("(100, 100)", "(103, 98)", {"tolerance": 3}, True),
        ("(100, 100)", "(104, 100)", {"tolerance": 3}, False),
        ("(100, 100)", "[100, 100, 100, 100]", {"tolerance": 3}, False),
        ("[0, 0, 0, 9]", "[0, 0, 0, 9]", {}, True),
    ],
)
def test_overlap_or_tolerance_makes_equal(left: str, right: str, options: dict[str, float], same: bool) -> None:
    """In either order."""
    kind = Boxes(BoxesOptions.model_validate(options))
    a, b = kind.extract(left, TASK), kind.extract(right, TASK)
    assert a is not None
    assert b is not None
    assert kind.same(a, b) is kind.same(b, a) is same


def test_a_key_is_a_region() -> None:
    """What the type finds can be handed to the consensus."""
    assert region((1.0, 2.0)) == Box(1.0, 2.0, 1.0, 2.0)
    assert region((1.0, 2.0, 3.0, 4.0)) == Box(1.0, 2.0, 3.0, 4.0)


def test_overlap_is_intersection_over_union() -> None:
    """From 0 to 1."""
    assert overlap(Box(0, 0, 2, 2), Box(1, 0, 3, 2)) == pytest.approx(1 / 3)
    assert overlap(Box(0, 0, 1, 1), Box(1, 1, 2, 2)) == 0.0
    assert overlap(Box(1, 1, 1, 1), Box(1, 1, 1, 1)) == 1.0


def test_the_consensus_is_where_most_boxes_are() -> None:
    """Three of four cover the middle."""
    made = consensus([Box(0, 0, 10, 10), Box(5, 5, 15, 15), Box(4, 4, 8, 8), Box(90, 90, 99, 99)])
    assert made is not None
    assert made.region == Box(5, 5, 8, 8)
    assert made.point == (6.5, 6.5)
    assert (made.votes, made.share) == (3, 0.75)


def test_of_equal_regions_the_largest_counts_then_the_leftmost() -> None:
    """The rule for ties is stated."""
    apart = consensus([Box(0, 0, 2, 2), Box(10, 0, 13, 2)])
    assert apart is not None
    assert apart.region == Box(10, 0, 13, 2)
    alike = consensus([Box(10, 0, 12, 2), Box(0, 5, 2, 7), Box(0, 0, 2, 2)])
    assert alike is not None
    assert alike.region == Box(0, 0, 2, 2)


def test_points_vote_as_squares() -> None:
    """Two of three are near each other."""
    made = consensus([Box(100, 100, 100, 100), Box(110, 100, 110, 100), Box(500, 500, 500, 500)])
    assert made is not None
    assert made.region == Box(85, 75, 125, 125)
    assert made.point == (105.0, 100.0)


def test_a_region_that_bends_has_its_point_inside() -> None:
    """An L made of two boxes that only touch along an edge."""
    made = consensus([Box(0, 0, 10, 1), Box(0, 1, 1, 10)])
    assert made is not None
    assert made.region == Box(0, 0, 10, 10)
    assert made.point == (0.5, 5.5)


def test_no_boxes_have_no_consensus() -> None:
    """Nothing is made up."""
    assert consensus([]) is None
    assert Votes([]).consistency(Box(0, 0, 1, 1)) == 0.0


def test_consistency_is_the_mean_of_the_votes_within() -> None:
    """As in GUI-RC: relative to the highest count."""
    votes = Votes([Box(0, 0, 2, 2), Box(1, 0, 3, 2)])
    assert votes.consistency(Box(1, 0, 2, 2)) == 1.0
    assert votes.consistency(Box(0, 0, 2, 2)) == pytest.approx(0.75)
    assert votes.consistency(Box(50, 50, 60, 60)) == 0.0


def test_the_grid_of_edges_says_what_the_grid_of_pixels_says() -> None:
    """Against GUI-RC's own way of counting, on small whole coordinates; in any order of the boxes."""
    draw = random.Random(7)
    for _ in range(60):
        boxes = []
        for _ in range(draw.randint(1, 8)):
            x, y = draw.randint(0, 12), draw.randint(0, 12)
            boxes.append(Box(x, y, x + draw.randint(1, 6), y + draw.randint(1, 6)))
        pixels = {(x, y): 0 for x in range(20) for y in range(20)}
        for box in boxes:
            for x, y in pixels:
                pixels[x, y] += box.x1 <= x < box.x2 and box.y1 <= y < box.y2
        made = consensus(boxes)
        assert made is not None
        assert made.votes == max(pixels.values())
        x, y = made.point
        assert pixels[int(x), int(y)] == made.votes or any(
            pixels.get((int(x) - i, int(y) - j)) == made.votes for i in (0, 1) for j in (0, 1)
        )
        assert consensus(boxes[::-1]) == made
        tried = boxes[0]
        inside = [v for (x, y), v in pixels.items() if tried.x1 <= x < tried.x2 and tried.y1 <= y < tried.y2]
        assert Votes(boxes).consistency(tried) == pytest.approx(sum(inside) / len(inside) / made.votes)
