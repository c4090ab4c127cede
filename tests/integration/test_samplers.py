"""Samplers through the running service: what the model is asked, and how its letters are read."""

import json
import re
from dataclasses import dataclass
from typing import Any

import pytest

from tests.conftest import Bench, Gateway, wait_until
from tests.fake_upstream import FakeUpstream
from tests.toy_embedder import embedding

CITIES = ["Lyon", "Paris", "Nice", "Lille"]
ASKED = "Which city is the capital of France?"
LISTED = ASKED + "\n" + "\n".join(f"({letter}) {city}" for letter, city in zip("ABCD", CITIES, strict=True))


@dataclass
class Stack:
    """A gateway and a model that draws one sample a call, one call after another."""

    bench: Bench
    gateway: Gateway
    upstream: FakeUpstream

    def ask(self, says: Any, delay_ms: float = 0.0, **body: Any) -> dict[str, Any]:
        """A reply with its samples, of a model that says this; `asked` then holds its calls."""
        self.say(says, delay_ms)
        return self.gateway.answer(
            **{"question": ASKED, "sampling": {"seed": 5}, "stop": "none", "aggregator": "vote", **body}
        )

    def say(self, says: Any, delay_ms: float = 0.0) -> None:
        """Has the model say this."""
        self.bench.say(self.upstream, says=says, n="ignored", delay_ms=delay_ms)
        self.upstream.keep = True

    @property
    def asked(self) -> list[dict[str, Any]]:
        """The calls, by their seeds."""
        return sorted(self.upstream.requests, key=lambda request: request["seed"])


@pytest.fixture(scope="module")
def stack(shared: Bench, tmp_path_factory: pytest.TempPathFactory) -> Stack:
    """The service with an example set."""
    folder = tmp_path_factory.mktemp("examples")
    rows = [{"question": f"Which city is the capital of {c}?", "answer": f"It is {c} City."} for c in "PQRSTUV"]
    (folder / "capitals.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    upstream = shared.upstream(n="ignored")
    gateway = shared.gateway(examples_dir=str(folder))
    shared.worker(f"fake=openai:{upstream.url}", openai_max_concurrency="1")
    gateway.answer(n=2)  # it learns here that it gets one choice a call
    return Stack(shared, gateway, upstream)


def question_of(asked: dict[str, Any]) -> str:
    """The last turn of a call."""
    return str(asked["messages"][-1]["content"])


def knows_paris(asked: dict[str, Any]) -> str:
    """Finds the right option and gives the letter before it."""
    (letter,) = re.findall(r"\(([A-D])\) Paris$", question_of(asked), re.MULTILINE)
    return f"The answer is ({letter})."


def likes_a(asked: dict[str, Any]) -> str:
    """Says A to anything."""
    return "The answer is (A)."


@pytest.mark.parametrize(("question", "choices"), [(ASKED, CITIES), (LISTED, CITIES), (LISTED, list("ABCD"))])
def test_with_choices_the_vote_is_right_although_letters_differ(
    stack: Stack, question: str, choices: list[str]
) -> None:
    """By default each sample sees the options in an order of its own; its letter is read in that order."""
    reply = stack.ask(knows_paris, question=question, choices=choices, n=12)
    right = "Paris" if choices is CITIES else "B"
    assert (reply["answer"], reply["confidence"]["vote_share"], reply["answer_type"]) == (right, 1.0, "choice")
    assert len({sample["text"] for sample in reply["samples"]}) > 2
    assert reply["sampler"] == {
        "name": "choice_shuffle", "options": {"balanced": False}, "independent": True, "remark": None
    }  # fmt: skip
    for sample, asked in zip(reply["samples"], stack.asked, strict=True):
        shown = re.findall(r"^\(([A-D])\) (\w+)$", question_of(asked), re.MULTILINE)
        assert [CITIES.index(city) for _, city in shown] == sample["shown"]
        assert [letter for letter, _ in shown] == list("ABCD")


def test_a_liking_for_a_letter_is_no_agreement(stack: Stack) -> None:
    """A model that always says A is unanimous under `iid`, and spreads its votes where options change places."""
    fooled = stack.ask(likes_a, choices=CITIES, n=16, sampler="iid")
    assert (fooled["answer"], fooled["confidence"]["vote_share"]) == ("Lyon", 1.0)
    assert all(sample["shown"] is None for sample in fooled["samples"])
    spread = stack.ask(likes_a, choices=CITIES, n=16, sampler={"name": "choice_shuffle", "balanced": True})
    assert [row["votes"] for row in spread["candidates"]] == [4, 4, 4, 4]
    assert spread["sampler"]["independent"] is False


def test_labels_stay_and_the_reply_says_so(stack: Stack) -> None:
    """True and False are no list of options."""
    reply = stack.ask(lambda asked: "False", question="Is it so?", choices=["True", "False"], n=3)
    assert {question_of(asked) for asked in stack.asked} == {"Is it so?"}
    assert reply["sampler"]["remark"] == "the options stay in their order: the options are labels"


def test_a_request_with_a_seed_is_drawn_again_alike(stack: Stack) -> None:
    """Sample i is asked with the seed of the request plus i; a model that heeds seeds says the same again."""

    def heeds(asked: dict[str, Any]) -> str:
        return knows_paris(asked) if asked["seed"] % 3 else likes_a(asked)

    drawn = []
    for seed in (70, 70, 71):
        reply = stack.ask(heeds, choices=CITIES, n=9, sampling={"seed": seed})
        assert [asked["seed"] for asked in stack.asked] == list(range(seed, seed + 9))
        assert [sample["seed"] for sample in reply["samples"]] == list(range(seed, seed + 9))
        drawn.append(
            [
                (question_of(asked), s["text"], s["answer"])
                for asked, s in zip(stack.asked, reply["samples"], strict=True)
            ]
        )
    assert drawn[0] == drawn[1]
    assert drawn[0] != drawn[2]


def test_the_running_tally_reads_letters_as_they_were_shown_in_any_gateway(stack: Stack) -> None:
    """Before the answer is final, and in a gateway that did not draw."""
    other = stack.bench.gateway()
    stack.say(knows_paris, delay_ms=150)
    body = {"question": ASKED, "choices": CITIES, "n": 12, "stop": "none", "sampling": {"seed": 5}}
    answer_id = stack.gateway.ask(**body, background=True).json()["id"]
    look = wait_until(
        lambda: (seen := other.read(answer_id))["usage"]["samples"]["finished"] >= 4 and seen, "four samples are there"
    )
    assert look["status"] == "in_progress"
    assert [row["answer"] for row in look["candidates"]] == ["Paris"]
    assert look["sampler"]["name"] == "choice_shuffle"
    assert stack.gateway.final(answer_id)["answer"] == "Paris"


def test_choosing_again_reads_letters_as_they_were_shown(stack: Stack) -> None:
    """The same verdict; other choices than those that the samples were shown are refused."""
    first = stack.ask(knows_paris, choices=CITIES, n=6)
    url = f"/v1/answers/{first['id']}/aggregate"
    again = stack.gateway.http.post(url, json={"aggregator": "vote", "include": ["samples"]}).raise_for_status().json()
    assert (again["answer"], again["candidates"]) == ("Paris", first["candidates"])
    assert [sample["shown"] for sample in again["samples"]] == [sample["shown"] for sample in first["samples"]]
    refused = stack.gateway.http.post(url, json={"choices": CITIES[::-1]})
    assert (refused.status_code, refused.json()["field"]) == (422, "choices")
    assert stack.gateway.http.post(url, json={"choices": CITIES}).json()["answer"] == "Paris"


def says_it(asked: dict[str, Any]) -> str:
    """A completion of two sentences that depends on the seed."""
    return f"First, way {'abcdefgh'[asked['seed'] % 8]} is tried. It leads there.\nThe answer is {asked['seed'] % 2}."


def test_navigate_shows_later_samples_what_earlier_ones_tried(stack: Stack) -> None:
    """Two batches of two; a conversation keeps its turns."""
    turns = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "What is it? $question"}]
    stack.say(says_it)
    reply = stack.gateway.answer(
        messages=turns,
        sampler={"name": "navigate", "batch": 2},
        n=4,
        stop="none",
        aggregator="vote",
        sampling={"seed": 8},
    )
    first, second, third, fourth = stack.asked
    assert first["messages"] == second["messages"] == turns
    assert third["messages"] == fourth["messages"]
    assert third["messages"][0] == turns[0]
    assert "1. First, way a is tried." in question_of(third)
    assert "2. First, way b is tried." in question_of(third)
    assert "The answer is" not in question_of(third)
    assert question_of(third).startswith("What is it? $question")
    assert [sample["variant"] for sample in reply["samples"]] == [
        None,
        None,
        "after 2 approaches",
        "after 2 approaches",
    ]
    assert reply["sampler"]["independent"] is False


def test_deepen_asks_for_a_second_look_at_each_lines_last_completion(stack: Stack) -> None:
    """Sample 2 sees sample 0's text as the assistant's own turn."""
    reply = stack.ask(says_it, sampler={"name": "deepen", "width": 2}, n=4, sampling={"seed": 8})
    third = stack.asked[2]["messages"]
    assert [turn["role"] for turn in third] == ["user", "assistant", "user"]
    assert third[1]["content"] == reply["samples"][0]["text"]
    assert reply["samples"][2]["variant"] == "round 2 from sample 0"


def test_languages_prompts_and_temperatures_reach_the_model(stack: Stack) -> None:
    """Each sample's call is what its variant says."""
    reply = stack.ask(says_it, sampler={"name": "languages", "languages": ["German", "Thai"]}, n=8)
    for sample, asked in zip(reply["samples"], stack.asked, strict=True):
        assert f"Reason step by step in {sample['variant'].removeprefix('language ')}." in question_of(asked)
    sampler = {"name": "prompts", "templates": ["Hm. $question"], "paraphrases": ["Say the capital of France."]}
    reply = stack.ask(says_it, sampler=sampler, n=8)
    said = {"template 0": f"Hm. {ASKED}", "paraphrase 0": "Say the capital of France."}
    assert [said[sample["variant"]] for sample in reply["samples"]] == [question_of(asked) for asked in stack.asked]
    assert len({sample["variant"] for sample in reply["samples"]}) == 2
    ladder = {"name": "temperature_ladder", "low": 0.2, "high": 1.0, "steps": 5}
    reply = stack.ask(says_it, sampler=ladder, n=5)
    degrees = [asked["temperature"] for asked in stack.asked]
    assert sorted(degrees) == [0.2, 0.4, 0.6, 0.8, 1.0]
    assert [sample["variant"] for sample in reply["samples"]] == [f"temperature {degree:g}" for degree in degrees]


def test_few_shot_shows_the_deployments_examples(stack: Stack) -> None:
    """The set that the request names, as turns before the question."""
    reply = stack.ask(says_it, sampler={"name": "few_shot", "set": "capitals", "k": 2}, n=4)
    for sample, asked in zip(reply["samples"], stack.asked, strict=True):
        places = [int(place) for place in sample["variant"].split()[1:]]
        assert [turn["content"] for turn in asked["messages"][:-1:2]] == [
            f"Which city is the capital of {'PQRSTUV'[place]}?" for place in places
        ]
        assert question_of(asked) == ASKED


def test_examples_are_compared_by_vectors_where_a_pool_embeds(stack: Stack, redis_url: str) -> None:
    """By words all examples are equally near and the first is taken; by these vectors the fifth is the nearest."""
    sampler = {"name": "few_shot", "set": "capitals", "k": 1, "among": 1, "by": "embedding", "model": "vectors"}
    missing = stack.gateway.ask(question=ASKED, sampler=sampler)
    assert (missing.status_code, missing.json()["field"]) == (404, "sampler.model")
    wrong = stack.gateway.ask(question=ASKED, sampler={**sampler, "model": "fake"})
    assert (wrong.status_code, wrong.json()["field"]) == (422, "sampler.model")

    def near_t(text: str) -> tuple[float, ...] | None:
        if "Rome" in text:
            return None
        return (2.0, 0.1) if "T?" in text or "France" in text else (0.0, 1.0)

    with embedding(redis_url, stack.bench.prefix, "vectors", near_t) as seen:
        wait_until(lambda: "vectors" in str(stack.gateway.http.get("/v1/models").json()), "the pool is there")
        reply = stack.ask(says_it, sampler=sampler, n=3)
        assert {sample["variant"] for sample in reply["samples"]} == {"examples 4"}
        assert not [warning for warning in reply["warnings"] if warning.startswith("sampler")]
        assert sorted(seen) == sorted([ASKED, *(f"Which city is the capital of {c}?" for c in "PQRSTUV")])
        failing = stack.ask(says_it, question="Which city? Rome?", sampler=sampler, n=2)
    assert {sample["variant"] for sample in failing["samples"]} == {"examples 0"}
    said = [warning for warning in failing["warnings"] if warning.startswith("sampler")]
    assert said == ["sampler: vectors embedded 0 of 8 texts: context_overflow; few_shot goes by words alone"]
