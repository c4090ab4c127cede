"""What a model says of its samples' disagreement: read strictly, in the samples' own numbers."""

import json

import pytest

from service.disagreement_reply import Disagreement
from service.explaining import explain_disagreement
from workers.wire.messages import Failure, FailureKind, Sample

TEXTS = ["One. The answer is 41.", "Two. The answer is 42.", "Three. The answer is 42."]


class Telling:
    """A model that tells of the texts that it is shown, by the numbers under which it sees them."""

    def __init__(self, **told: object) -> None:
        self.told, self.prompts = told, []

    async def __call__(self, messages, sampling, n=1, *, prefix="", model=None):
        """Puts the number of the text that begins so in the place of each of its words."""
        self.prompts.append(messages[0].content)
        said = json.dumps(self.told)
        for word in ("One", "Two", "Three"):
            before = messages[0].content.split(f":\n{word}.")[0]
            said = said.replace(f'"#{word}"', before.rpartition("Solution ")[2])
        return (Sample(index=0, text=f"Here it is.\n```json\n{said}\n```"),)


async def test_stances_are_told_by_sample(panel_of) -> None:
    """Whatever the order of showing; the prompt shows every text, fenced."""
    stances = [{"claim": "41", "responses": ["#One"]}, {"claim": "42", "responses": ["#Two", "#Three", "#Two"]}]
    ask = Telling(
        consensus=["There is an answer."],
        contradictions=[{"topic": "the product", "stances": stances}],
        unique_points=[{"point": "Counts from one.", "response": "#One"}],
        blind_spots=["The unit."],
    )
    found = await explain_disagreement(panel_of(TEXTS), ask)
    (contradiction,) = found.contradictions
    assert [(each.claim, each.samples) for each in contradiction.stances] == [("41", [0]), ("42", [1, 2])]
    assert [(each.point, each.sample) for each in found.unique_points] == [("Counts from one.", 0)]
    assert (found.consensus, found.blind_spots, found.failed) == (["There is an answer."], ["The unit."], None)
    assert all(text in ask.prompts[0] for text in TEXTS)


@pytest.mark.parametrize(
    ("told", "expected"),
    [
        ({"consensus": ["", 7, "so"]}, Disagreement(consensus=["so"])),
        ({"unique_points": [{"point": "p", "response": 9}, {"point": "p", "response": "1"}, 3]}, Disagreement()),
        ({"contradictions": [{"topic": "t", "stances": [{"claim": "c", "responses": [1]}]}]}, Disagreement()),
        ({"contradictions": [{"topic": "t", "stances": [{"claim": "c", "responses": [0]}] * 3}]}, Disagreement()),
        ({"consensus": ["x" * 900]}, Disagreement(consensus=["x" * 500])),
        ({"blind_spots": ["b"] * 90}, Disagreement(blind_spots=["b"] * 16)),
    ],
)
async def test_what_is_malformed_is_left_out(told, expected: Disagreement, panel_of) -> None:
    """A response that was not shown, one stance alone, what is no text; and long things are cut."""
    assert await explain_disagreement(panel_of(TEXTS), Telling(**told)) == expected


@pytest.mark.parametrize(
    ("reply", "reason"),
    [
        (Sample(index=0, text="They differ."), "reply_off_format"),
        (Sample(index=0, text=""), "reply_empty"),
        (Sample(index=0, text='{"consensus": ["a"', finish_reason="length"), "reply_truncated"),
        (Sample(index=0, failure=Failure(kind=FailureKind.TIMEOUT, detail="")), "call_failed:timeout"),
    ],
)
async def test_an_unusable_reply_is_marked(reply: Sample, reason: str, panel_of, asks) -> None:
    """No list is made up."""
    assert await explain_disagreement(panel_of(TEXTS), asks(reply)) == Disagreement(failed=reason)


async def test_one_sample_disagrees_with_none(panel_of, asks) -> None:
    """Nothing is asked."""
    assert (await explain_disagreement(panel_of(TEXTS[:1]), asks())).failed == "too_few_samples"
