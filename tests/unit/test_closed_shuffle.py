"""Completions that must be one of the choices, in prompts that list these in orders of their own."""

import re

import pytest

from service.catalog import Pool
from service.contract import AnswerRequest
from service.plan import Plan, make_plan
from service.reading import Reader
from service.settings import Settings
from tests.at_once import at_once
from workers.wire.messages import Sample

CITIES = ("Lyon", "Paris", "Nice")
LISTED = "Capital of France?\n(A) Lyon\n(B) Paris\n(C) Nice"
FORMS = {
    "plain": ("Capital of France?", CITIES, "Paris"),
    "dressed": ("Capital of France?", ("(A) Lyon", "(B) Paris", "(C) Nice"), "B"),
    "letters": (LISTED, ("A", "B", "C"), "B"),
    "listed": (LISTED, CITIES, "Paris"),
}


def planned(question: str, choices: tuple[str, ...]) -> Plan:
    """A plan whose samples are drawn from the choices, shown in orders of their own."""
    body = {"model": "fake", "question": question, "choices": choices, "n": 12, "stop": "grey", "aggregator": "vote"}
    request = AnswerRequest.model_validate({**body, "sampler": "choice_shuffle", "sampling": {"seed": 3}})
    return make_plan(request, Pool("fake", ()), Settings())


def right_of(option: str, prompt: str) -> bool:
    """True if a string that the completion may be means Paris in this prompt."""
    (letter,) = re.findall(r"\(([A-C])\) Paris", prompt)
    return option in (letter, f"({letter}) Paris", "Paris")


@pytest.mark.parametrize("form", FORMS)
def test_the_strings_to_choose_from_are_those_of_the_prompt(form: str) -> None:
    """Letters stay and texts move, as in the prompt: the k-th string is the k-th option there."""
    question, choices, _ = FORMS[form]
    plan = planned(question, choices)
    for index, draw in enumerate(plan.draws(range(12))):
        shown = plan.shown(index)
        assert shown is not None
        cities = [CITIES[place] for place in shown]
        expected = {
            "plain": cities,
            "listed": cities,
            "dressed": [f"({letter}) {city}" for letter, city in zip("ABC", cities, strict=True)],
            "letters": ["A", "B", "C"],
        }[form]
        assert list(draw.sampling.options) == expected
        assert sum(right_of(option, draw.messages[-1].content) for option in draw.sampling.options) == 1


@pytest.mark.parametrize("form", FORMS)
def test_likelihoods_are_those_of_the_callers_choices(form: str) -> None:
    """A model that gives the right option 97 % wherever it stands is certain after few samples, of that option."""
    question, choices, answer = FORMS[form]
    plan = planned(question, choices)
    reader = Reader(plan.task, plan.answer_type, plan.stop, plan.n, shown=plan.shown)
    samples: dict[int, Sample] = {}
    for index, draw in enumerate(plan.draws(range(12))):
        right = [right_of(option, draw.messages[-1].content) for option in draw.sampling.options]
        logprobs = tuple(-0.03 if each else -4.2 for each in right)
        samples[index] = Sample(index=index, text=draw.sampling.options[right.index(True)], option_logprobs=logprobs)
    assert [found.answer for found in at_once(reader.read(samples)).classes] == [answer]
    assert at_once(reader.stops(samples, 0)) is not None
    swapped = {i: s.model_copy(update={"option_logprobs": (-0.03, -4.2, -4.2)}) for i, s in samples.items()}
    again = Reader(plan.task, plan.answer_type, plan.stop, plan.n, shown=plan.shown)
    assert at_once(again.stops(swapped, 0)) is None
