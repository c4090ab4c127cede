"""The answer type `text` by meaning: what is asked of a pool, what it settles, and what it cannot."""

import math
from collections.abc import Sequence
from itertools import chain, combinations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from service.answer_types.base import Judgement, Meaning
from service.answer_types.meant import facts_of, unlike
from service.answer_types.text import Text, TextOptions
from service.candidates import Task
from service.classing import Classifier, judged, make_candidate, make_classes
from service.equality.closeness import Values
from service.equality.linkage import linked
from service.equality.meaning import MAX_FORMS, MeaningJudge
from service.reading import Reader
from service.stopping import STOPPING_RULES
from service.stopping.base import StoppingRule
from tests.contract.test_answer_type_laws import TEXTS
from workers.wire.messages import Failure, FailureKind, Sample

TASK = Task("What is it?")
LATE = Failure(kind=FailureKind.TIMEOUT, detail="no reply within the answer's budget")
SEMANTIC = {"equivalence": "semantic", "model": "pool"}
COSINE = Meaning("embeddings", "pool", 0.9)
EITHER_WAY = Meaning("entailment", "pool", 0.5)
LENIENT = Meaning("entailment", "pool", 0.5, strict=False)


class Scripted:
    """Stands for a pool: vectors by text, probabilities by the pair's ends, and a record of what was asked."""

    def __init__(
        self,
        vectors: dict[str, Values] | None = None,
        entails: dict[tuple[str, str], Values] | None = None,
    ) -> None:
        self.vectors = vectors or {}
        self.entails = entails or {}
        self.asked: list[tuple[str, ...]] = []

    async def __call__(self, kind: str, texts: Sequence[str], pairs: Sequence[str] = ()) -> tuple[Values, ...]:
        if kind == "embed":
            self.asked.append(tuple(texts))
            return tuple(self.vectors.get(text, LATE) for text in texts)
        self.asked += list(zip(texts, pairs, strict=True))
        ends = [tuple(text.removeprefix("What is it? ") for text in pair) for pair in zip(texts, pairs, strict=True)]
        return tuple(self.entails.get((one, other), (0.0, 1.0, 0.0)) for one, other in ends)


def at(degrees: float) -> tuple[float, float]:
    """A vector of length 2 in that direction."""
    return 2 * math.cos(math.radians(degrees)), 2 * math.sin(math.radians(degrees))


def semantic(**options: object) -> Text:
    """The answer type with a pool."""
    return Text(TextOptions.model_validate({**SEMANTIC, **options}))


async def classes_of(texts: Sequence[str], judge: MeaningJudge) -> list[tuple[str, tuple[int, ...]]]:
    """The classes of completions: what each prints and its members."""
    made = [make_candidate(Sample(index=i, text=text), semantic(), TASK) for i, text in enumerate(texts)]
    found = make_classes(made, semantic(), await judged(made, semantic(), judge))
    assert make_classes(made[::-1], semantic(), await judged(made[::-1], semantic(), judge)) == found
    return [(one.answer, one.members) for one in found]


async def test_equal_meanings_are_one_class_and_the_medoid_speaks_for_it() -> None:
    """Of directions 0, 20 and 40 degrees 20 is nearest to all; cos 40 = 0.77 and cos 60 = 0.5 part at 0.7.

    Distances of unit vectors are 2 sin(angle / 2): from 20 degrees 0.35 + 0.35, from 0 and from 40 0.35 + 0.68.
    """
    pool = Scripted({"a motor car": at(0), "automobile": at(20), "a vehicle": at(40), "a bicycle": at(100)})
    texts = ["a motor car", "a vehicle", "automobile", "a bicycle", "Automobile."]
    judge = MeaningJudge(Meaning("embeddings", "pool", 0.7), TASK.question, pool)
    assert (await classes_of(texts, judge)) == [("automobile", (0, 1, 2, 4)), ("a bicycle", (3,))]
    assert pool.asked == [("automobile", "a motor car", "a vehicle", "a bicycle")]


async def test_complete_linkage_keeps_apart_what_is_only_alike_in_steps() -> None:
    """0 and 20, 20 and 40 degrees are within 0.9 (cos 20 = 0.94), 0 and 40 are not; the most alike pair merges first.

    Of 0, 20 and 38 degrees that is 20 with 38, though 0 stands first.
    """
    pool = Scripted({"cat": at(0), "tomcat": at(20), "lion": at(38)})
    found = await classes_of(["cat", "tomcat", "lion"], MeaningJudge(COSINE, TASK.question, pool))
    assert [members for _, members in found] == [(1, 2), (0,)]


async def test_a_form_of_more_than_half_of_a_class_speaks_for_it() -> None:
    """Wherever the others lie."""
    pool = Scripted({"cat": at(0), "tomcat": at(24), "lion": at(24.1)})
    found = await classes_of(["lion", "tomcat", "cat", "cat", "cat"], MeaningJudge(COSINE, TASK.question, pool))
    assert found == [("cat", (0, 1, 2, 3, 4))]
    found = await classes_of(["lion", "tomcat", "cat", "cat"], MeaningJudge(COSINE, TASK.question, pool))
    assert found == [("cat", (0, 1, 2, 3))]  # 2 x 0.42 from each of the others, 0.42 + 0.42 from it: the more frequent


@pytest.mark.parametrize(
    ("meaning", "there", "back", "same"),
    [
        (EITHER_WAY, (0.9, 0.1, 0.0), (0.5, 0.3, 0.2), True),
        (EITHER_WAY, (0.9, 0.1, 0.0), (0.49, 0.3, 0.21), False),
        (EITHER_WAY, (0.4, 0.3, 0.3), (0.9, 0.1, 0.0), False),
        (LENIENT, (0.9, 0.1, 0.0), (0.1, 0.9, 0.0), True),
        (LENIENT, (0.1, 0.9, 0.0), (0.1, 0.9, 0.0), False),
        (LENIENT, (0.9, 0.1, 0.0), (0.1, 0.2, 0.7), False),
        (LENIENT, (0.1, 0.2, 0.7), (0.9, 0.1, 0.0), False),
        (LENIENT, (0.5, 0.0, 0.5), (0.9, 0.1, 0.0), False),
        (EITHER_WAY, (0.9, 0.1, 0.0), LATE, False),
    ],
)
async def test_entailment_is_asked_both_ways(meaning: Meaning, there: Values, back: Values, same: bool) -> None:
    """Strict: each entails the other. Otherwise: no contradiction, and not both left open. A tie merges nothing."""
    for one, other in (("cats", "felines"), ("felines", "cats")):
        pool = Scripted(entails={(one, other): there, (other, one): back})
        found = await MeaningJudge(meaning, TASK.question, pool).judge(["cats", "felines"])
        assert bool(found.equal) == same


async def test_entailment_is_judged_in_the_question_and_only_where_it_is_open() -> None:
    """Each side is the question with an answer; what the first direction settles is not asked backwards."""
    pool = Scripted(entails={("cats", "felines"): (0.8, 0.1, 0.1), ("felines", "cats"): (0.7, 0.2, 0.1)})
    judge = MeaningJudge(EITHER_WAY, "What   is\nit?", pool)
    found = await judge.judge(["cats", "felines", "dogs"])
    assert found.equal == {frozenset(("cats", "felines"))}
    asked = [("cats", "felines"), ("cats", "dogs"), ("dogs", "felines"), ("felines", "cats")]
    assert pool.asked == [(f"What is it? {one}", f"What is it? {other}") for one, other in asked]
    assert await judge.judge(["felines", "dogs", "cats"]) == found
    assert len(pool.asked) == 4


@pytest.mark.parametrize(
    ("left", "right", "settled"),
    [
        ("May 1, 2021", "May 2, 2021", True),
        ("5 km", "5 miles", True),
        ("5 km", "March 3, 2021", True),
        ("born in 1912", "it was in 1913", True),
        ("5 km from there", "five miles from there", True),
        ("five years ago", "six years ago", True),
        ("1912", "in the year 1912", False),
        ("yes", "no", True),
        ("1.10", "1.1", True),
        ("Paris", "London", True),
        ("Marie Curie", "Pierre Curie", True),
        ("John Adams", "John Quincy Adams", True),
        ("he moved to Paris", "she went to London", True),
        ("Curie", "Marie Curie", False),
        ("President Obama", "Barack Obama", False),
        ("the USA", "United States of America", False),
        ("the USB", "United States of America", True),
        ("Photosynthesis", "The way plants make food", False),
        ("Climate change", "Global warming", False),
        ("the Seine", "the river Seine", False),
        ("a cat", "a dog", False),
    ],
)
async def test_dates_quantities_numbers_verdicts_and_names_are_compared_as_such(
    left: str, right: str, settled: bool
) -> None:
    """A pool that finds everything equal is not even asked where the texts differ in these."""
    for pair in ([left, right], [right, left]):
        pool = Scripted(dict.fromkeys(pair, at(0)))
        found = await MeaningJudge(COSINE, "When?", pool).judge(pair)
        assert (bool(found.equal), len(pool.asked)) == ((False, 0) if settled else (True, 1))


async def test_equal_forms_need_no_pool() -> None:
    """Nothing is asked for one text in several spellings, nor for one day."""
    pool = Scripted()
    judge = MeaningJudge(COSINE, TASK.question, pool)
    assert await classes_of(["Paris", "paris.", "**Paris**"], judge) == [("Paris", (0, 1, 2))]
    assert len(await classes_of(["May 1, 2021", "1 May 2021"], judge)) == 1
    assert pool.asked == []


async def test_what_the_pool_cannot_say_counts_as_different_with_a_warning() -> None:
    """The rest is compared all the same, and no failure is asked for twice."""
    pool = Scripted({"cats": at(0), "felines": at(1), "dogs": (0.0, 0.0), "wolves": (1.0, 2.0, 3.0)})
    judge = MeaningJudge(COSINE, TASK.question, pool)
    found = await judge.judge(["cats", "felines", "dogs", "wolves", "birds"])
    assert found.equal == {frozenset(("cats", "felines"))}
    assert found.warnings == (
        "answer_type: pool could not compare all answers by meaning: timeout x 1, upstream_error x 2 "
        "(the pool sent a vector without a direction); these are compared by their normalised forms",
    )
    assert await judge.judge(["cats", "felines", "dogs", "wolves", "birds"]) == found
    assert len(pool.asked) == 1


async def test_cost_is_bounded_by_the_most_frequent_forms() -> None:
    """64 texts are embedded, once; the rest are compared by their normalised forms and counted."""
    forms = [f"thing {'x' * place}" for place in range(1, MAX_FORMS + 4)]
    pool = Scripted(dict.fromkeys(forms, at(0)))
    found = await MeaningJudge(COSINE, TASK.question, pool).judge(forms)
    assert pool.asked == [tuple(forms[:MAX_FORMS])]
    assert found.uncompared == 3
    assert not any(form in pair for pair in found.equal for form in forms[MAX_FORMS:])


async def test_an_answer_written_later_joins_the_class_all_of_whose_forms_it_means() -> None:
    """What an aggregator wrote: with 10 and 20 degrees at 25, at none at 45, and with the nearer of two that fit."""
    vectors = {"cat": at(10), "tomcat": at(20), "wolf": at(50), "lion": at(25), "tiger": at(45), "puma": at(29)}
    judge = MeaningJudge(COSINE, TASK.question, Scripted({**vectors, "cats and dogs": at(33)}))
    assert [await judge.place(form, [["cat", "tomcat"], ["wolf"]]) for form in ("lion", "tiger", "eel")] == [0, 1, None]
    assert await judge.place("puma", [["cat", "tomcat"], ["wolf"]]) == 0
    assert await judge.place("cats and dogs", [["wolf"], ["cat", "tomcat"]]) == 0
    made = [make_candidate(Sample(index=i, text=text), semantic(), TASK) for i, text in enumerate(["cat", "tomcat"])]
    classifier = Classifier(made, semantic(), TASK, await judged(made, semantic(), judge), judge)
    written = classifier.extract("lion")
    assert written is not None
    assert await classifier.find(written) is classifier.classes[0]


@pytest.mark.parametrize(
    ("options", "field"),
    [
        ({"equivalence": "semantic"}, "model"),
        ({"model": "pool"}, "model"),
        ({"by": "embeddings"}, "by"),
        ({"threshold": 0.5}, "threshold"),
        ({**SEMANTIC, "strict": False}, "strict"),
        ({**SEMANTIC, "by": "entailment", "strict": False, "threshold": 0.5}, "threshold"),
        ({**SEMANTIC, "by": "meaning"}, "by"),
        ({**SEMANTIC, "threshold": 0}, "threshold"),
    ],
)
def test_options_that_would_be_ignored_are_refused(options: dict[str, object], field: str) -> None:
    """Each by the field that is wrong."""
    with pytest.raises(ValidationError) as caught:
        TextOptions.model_validate(options)
    first = caught.value.errors()[0]
    assert first["loc"] == (field,) or first["ctx"]["field"] == field


def test_options_name_the_way() -> None:
    """Embeddings at 0.9 if nothing is said."""
    assert semantic().meaning == COSINE
    assert semantic(by="entailment").meaning == EITHER_WAY
    assert semantic(by="entailment", strict=False).meaning == LENIENT
    assert Text().meaning is None


FORMS = [*"abcdefgh"]
angles = st.lists(st.integers(0, 90), min_size=len(FORMS), max_size=len(FORMS))
drawn = st.lists(st.sampled_from(FORMS), min_size=1, max_size=14)


@given(texts=drawn, degrees=angles, data=st.data())
@settings(max_examples=200, deadline=None)
async def test_laws_of_classes_by_meaning(texts: list[str], degrees: list[int], data: st.DataObject) -> None:
    """No class holds a pair below the threshold, every voter is in one class, and the order of arrival is nothing."""
    judge = MeaningJudge(COSINE, TASK.question, Scripted({f: at(d) for f, d in zip(FORMS, degrees, strict=True)}))
    answer_type = semantic()
    samples = {i: Sample(index=i, text=text) for i, text in enumerate(texts)}
    order = data.draw(st.permutations(range(len(texts))))
    readings = [
        await Reader(TASK, answer_type, rule("none"), len(texts), judge=judge).read({i: samples[i] for i in indices})
        for indices in (range(len(texts)), order)
    ]
    assert readings[0] == readings[1]
    assert sorted(i for one in readings[0].classes for i in one.members) == list(range(len(texts)))
    for one in readings[0].classes:
        forms = {texts[i] for i in one.members}
        assert one.answer in forms
        assert texts[one.representative] == one.answer
        for left, right in combinations(sorted(forms), 2):
            between = abs(degrees[FORMS.index(left)] - degrees[FORMS.index(right)])
            assert round(math.cos(math.radians(between)), 6) >= COSINE.threshold
    judgement = readings[0].judgement
    assert judgement is not None
    for left, right in combinations([c.extraction for c in readings[0].candidates if c.extraction], 2):
        assert judgement.same(left, left)
        assert judgement.same(left, right) == judgement.same(right, left)


@given(texts=drawn, degrees=angles, name=st.sampled_from(["lead", "beta"]), data=st.data())
@settings(max_examples=200, deadline=None)
async def test_stopping_early_asks_nobody_and_keeps_the_verdict(
    texts: list[str], degrees: list[int], name: str, data: st.DataObject
) -> None:
    """Until the end no pool is asked; `lead` stops only where all samples would give the same class and answer."""
    pool = Scripted({f: at(d) for f, d in zip(FORMS, degrees, strict=True)})
    judge = MeaningJudge(COSINE, TASK.question, pool)
    reader = Reader(TASK, semantic(), rule(name), len(texts), judge=judge)
    samples = {i: Sample(index=i, text=text) for i, text in enumerate(texts)}
    come: dict[int, Sample] = {}
    for index in data.draw(st.permutations(range(len(texts)))):
        come[index] = samples[index]
        kept = await reader.stops(come, len(texts) - len(come))
        assert pool.asked == []
        if kept is not None and name == "lead":
            early, late = await reader.read(come, kept), await reader.read(samples)
            assert early.classes[0].answer == late.classes[0].answer
            assert set(early.classes[0].members) <= set(late.classes[0].members)
        if kept is not None:
            break


@given(
    count=st.integers(0, 8),
    values=st.dictionaries(
        st.tuples(st.integers(0, 7), st.integers(0, 7)), st.sampled_from([0.5, 0.6, 0.7]), max_size=28
    ),
)
def test_linkage_is_that_of_its_definition(count: int, values: dict[tuple[int, int], float]) -> None:
    """As merging the most alike pair of clusters again and again, found by looking at all of them each time."""
    near = {(one, other): value for (one, other), value in values.items() if one < other < count}
    clusters = [[place] for place in range(count)]

    def alike(one: list[int], other: list[int]) -> float:
        return min(near.get((min(a, b), max(a, b)), -1.0) for a in one for b in other)

    while len(clusters) > 1:
        least, one, other = min((-alike(one, other), min(one), min(other)) for one, other in combinations(clusters, 2))
        if least > 0:
            break
        joined = [each for each in clusters if min(each) in (one, other)]
        clusters = sorted([each for each in clusters if each not in joined] + [sorted(chain(*joined))])
    assert linked(count, near) == clusters


@given(left=TEXTS, right=TEXTS)
@settings(max_examples=200, deadline=None)
def test_unlike_is_symmetric_and_no_text_raises(left: str, right: str) -> None:
    one, other = facts_of(left[:2000], left), facts_of(right[:2000], left)
    assert unlike(one, other) == unlike(other, one)


async def test_without_a_judge_the_normalised_forms_hold() -> None:
    """As for the running tally of an answer in progress."""
    reader = Reader(TASK, semantic(), rule("none"), 3)
    reading = await reader.read({i: Sample(index=i, text=text) for i, text in enumerate(["cat", "Cat.", "tomcat"])})
    assert [found.members for found in reading.classes] == [(0, 1), (2,)]
    assert reading.judgement is None
    assert Judgement().warnings == ()


def rule(name: str) -> StoppingRule:
    """A stopping rule with its default options."""
    return STOPPING_RULES.make(name, STOPPING_RULES[name].Options())
