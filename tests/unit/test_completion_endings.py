"""How models of today end their completions, and the answer that is found there: tables of our own making."""

import pytest

from service.answer_types.base import AnswerType
from service.answer_types.choice import Choice
from service.answer_types.number import Number
from service.answer_types.text import Text
from service.candidates import Task
from service.classing import make_candidate
from workers.wire.messages import Sample

CITY = Task("What is the capital of France?\n(A) Lyon\n(B) Paris\n(C) Nice\n(D) Lille")
TEN = Task("Which one?", tuple("ABCDEFGHIJ"))
FOLIO = Task("Based on the premises, is the conclusion True, False or Uncertain?")
YES_NO = Task("Is a whale a fish? Answer yes or no.")
NLI = Task("Does the premise entail the hypothesis? entailment, contradiction or neutral")
APPLES = Task("Natalia sold 48 clips in April and half as many in May. How many clips did she sell altogether?")
CAPITAL = Task("What is the capital of Australia?")
AUTHOR = Task("Who wrote Pride and Prejudice?")
MOON = Task("Who was the first man on the moon?")

LETTER_B = [
    "The answer is (B).",
    "**Answer: B**",
    "**B**",
    "The correct answer is **B) Paris**.",
    "The correct answer is:\n\n**(B) Paris**",
    "The correct answer is (B) Paris. This is because Lyon (A) is only the third largest city.",
    "Answer: B\n\nExplanation: Lyon, option A, has no parliament; option C is on the coast.",
    "B\n\nExplanation: Option A (Lyon) is a city on the Rhone. Option C is Nice.",
    "B. Paris\n\nParis has been the capital since 987. (A) Lyon is wrong.",
    "**B) Paris**\n\nOption A is too small, and Option C is too far south.",
    "(B) Paris\n\nReasoning: (A), (C) and (D) are no capitals.",
    "B\n\n(A) is wrong because it is in the south. (C) is wrong.",
    "Option B\n\nThe others are not the capital.",
    "Let's go through them.\n(A) Lyon is not the capital.\n(B) Paris is.\n\nSo the answer is B.",
    "A is wrong because Lyon is not the capital. B is right.",
    "A) Lyon: no\nB) Paris: yes\nC) Nice: no\nD) Lille: no",
    "- A. Lyon - incorrect\n- B. Paris - correct\n- C. Nice - incorrect\n- D. Lille - incorrect",
    "A) Lyon\nB) Paris \u2713\nC) Nice\nD) Lille",
    "So the final choice is **(B)** and not (C).",
    "The correct choice is: B",
    "I choose B",
    "I choose option (B).",
    "I'd go with B.",
    "I would pick option B over option C.",
    "My answer is B.",
    "My final answer is **B**.",
    "Therefore, B.",
    "So B.",
    "Thus B is the answer.",
    "Hence, option (B) is correct, whereas (C) is not.",
    "Selected: B",
    "The right option: B",
    "Correct option: (b)",
    "choice (b)",
    "Statement B is the correct one.",
    "I believe B is right",
    "It's B",
    "B is the best choice since A and C fail.",
    "Between A and B, B is better.",
    "Out of these, B seems the most appropriate.",
    "The best answer is therefore option B: Paris.",
    "Final Answer: \\boxed{B}",
    "$\\boxed{\\text{B}}$",
    "### Final Answer\n\n**B**",
    "## Answer\nB",
    "**Final Answer**\nB. Paris",
    "**Final Answer:** The final answer is $\\boxed{B}$",
    '{"choice": "B"}',
    '{"reasoning": "Lyon is not it.", "answer": "B"}',
    '```json\n{"answer": "B"}\n```',
    '{"selected_option": "B", "confidence": 0.9}',
    '{"selection": "B"}',
    '{"prediction": "(B)"}',
    "<answer>B</answer>",
    "I looked at (A).\n<answer>B</answer>",
    "<answer>\n(B) Paris\n</answer>\n\nI rejected (C).",
    "<final_answer>B</final_answer>",
    "<|begin_of_box|>B<|end_of_box|>",
    "<think>Maybe (C)? No.</think>\n\nB",
    "[THINK]Is it (C)?[/THINK]The answer is B.",
    "<|channel|>analysis<|message|>Could be A.<|end|><|start|>assistant<|channel|>final<|message|>B<|return|>",
    "B<|eot_id|>",
    "The answer is B.<|im_end|>",
    "Answer: B\nConfidence: 95%",
    "Answer: B\n\nLet me know if you would rather have (A)!",
    "I think it's Paris, not Lyon.",
    "Paris",
    "Paris\n\nLyon is only the third largest city.",
    "The answer is \u201eB\u201c.",
    "\u7b54\u6848:B",
    "\u7b54\u6848\u662fB\u3002",
    "\u6240\u4ee5\uff0c\u6b63\u786e\u7b54\u6848\u662f B\u3002",
    "\u6545\u9009B",
    "\u6b63\u89e3\u306fB\u3067\u3059\u3002",
    "\uc815\ub2f5\uc740 B\uc785\ub2c8\ub2e4.",
    "La respuesta correcta es la B.",
    "La respuesta es (B) Paris",
    "Die richtige Antwort ist B.",
    "Die Antwort lautet: (B)",
    "La bonne r\u00e9ponse est la B.",
    "R\u00e9ponse : B",
    "A resposta correta \u00e9 a B.",
    "La risposta \u00e8 B.",
    "Het antwoord is B.",
    "\u041e\u0442\u0432\u0435\u0442: B",
]
LABELS = [
    (FOLIO, "True\n\nThe first premise gives it; nothing here is false.", "True"),
    (FOLIO, "The conclusion is **False**.", "False"),
    (FOLIO, "The statement is not true.", "False"),
    (FOLIO, "Uncertain.\n\nThe premises do not say whether it is true or false.", "Uncertain"),
    (FOLIO, "It is uncertain whether the statement is true.", "Uncertain"),
    (FOLIO, "The truth of the conclusion cannot be determined from the premises.", "Uncertain"),
    (FOLIO, "**Conclusion:** Uncertain", "Uncertain"),
    (FOLIO, "ANSWER: Unknown", "Uncertain"),
    (FOLIO, "Rina is no student, so the first premise does not apply. Therefore the conclusion is false.", "False"),
    (FOLIO, "<answer>True</answer>", "True"),
    (FOLIO, "\\boxed{\\text{Uncertain}}", "Uncertain"),
    (FOLIO, "Premise 1 is true. Hence, the conclusion is **uncertain**.", "Uncertain"),
    (YES_NO, "No", ["yes", "no"][1]),
    (YES_NO, "No, a whale is a mammal.", "no"),
    (YES_NO, "Yes. Since whales swim, no other reading fits.", "yes"),
    (YES_NO, "**No.** Whales are mammals.", "no"),
    (YES_NO, "no\n\nExplanation: yes would be right for a shark.", "no"),
    (YES_NO, "The answer is no.", "no"),
    (YES_NO, "Answer: Yes", "yes"),
    (NLI, "Entailment", "entailment"),
    (NLI, "The relation is **neutral**.", "neutral"),
    (NLI, "contradiction\n\nThe hypothesis denies what the premise says, so it is no entailment.", "contradiction"),
    (TEN, "I believe H is right", "H"),
    (TEN, "After checking A through J, the correct answer is J.", "J"),
    (TEN, "The answer is (I).", "I"),
    (Task("Which?", ("1/2", "2", "20%")), r"$\frac{1}{2}$", "1/2"),
    (Task("Pick one:\na) cat\nb) dog"), "b) dog", "B"),
]
NUMBER_72 = [
    "48 + 24 = 72\n#### 72",
    "Natalia sold 48/2 = <<48/2=24>>24 clips in May.\nAltogether 48+24 = <<48+24=72>>72 clips.\n#### 72",
    "The answer is 72.",
    "Natalia sold 72 clips altogether.",
    "**72**",
    "**72 clips**",
    "**Answer: 72 clips**",
    "### Final Answer\n\n$\\boxed{72}$",
    "Therefore, Natalia sold a total of $48 + 24 = \\boxed{72}$ clips.",
    "48 + 24 = **72**",
    "Final Answer: The final answer is $72$. I hope it is correct.",
    "<think>48, half is 24</think>\n\nNatalia sold **72** clips in April and May.",
    "<answer>72</answer>",
    "<answer>72</answer>\n\nI checked 3 times.",
    "Work: 48 + 24.\n<answer>\n72 clips\n</answer>",
    "<final_answer>72</final_answer>",
    "<|begin_of_solution|>The total is \\boxed{72}.<|end_of_solution|>",
    "[BEGIN FINAL RESPONSE]\n72\n[END FINAL RESPONSE]",
    "<answer>72",
    "72</answer>",
    "72\n\nConfidence: 95%",
    "The total is 72.\n\nLet me know if you need the 24 clips of May explained!",
    "<|channel|>analysis<|message|>48+24<|end|><|start|>assistant<|channel|>final<|message|>**72**",
    "analysisWe add 48 and 24.assistantfinalShe sold 72 clips.",
    "<reasoning>48 + 24</reasoning>\n72",
    "<thought>24 in May</thought>72",
    "48 and 24 make 72</think>\n\n72",
    "<seed:think>24</seed:think>72",
    "\u25c1think\u25b724\u25c1/think\u25b772",
    "<|channel>thought\n48 + 24<channel|>72",
    "La respuesta es 72.",
    "Die Antwort ist 72.",
    "\u7b54\u6848\u662f72\u3002",
    '{"steps": ["24 in May"], "answer": 72}',
    "I will put the result in <answer> tags.\n\nShe sold 72.\n<answer>72</answer>",
    "Your answer goes here: <answer></answer>\nSo <answer>72</answer>",
    "72<end_of_turn>",
]
FACTS = [
    *(
        (CAPITAL, text, "Canberra")
        for text in ("Canberra", "Canberra.", "**Canberra**", "It is Canberra.", "It's Canberra.")
    ),
    (CAPITAL, "The capital of Australia is Canberra.", "Canberra"),
    (CAPITAL, "Canberra is the capital of Australia.", "Canberra"),
    (CAPITAL, "The capital of Australia is **Canberra**.", "Canberra"),
    (CAPITAL, "I think it's Canberra.", "Canberra"),
    (CAPITAL, "I believe Canberra", "Canberra"),
    (CAPITAL, "Canberra\n\nConfidence: 0.9", "Canberra"),
    (CAPITAL, "Guess: Canberra\nProbability: 0.9", "Canberra"),
    (CAPITAL, "Canberra.\n\nExplanation: Sydney is larger, but it is not the capital.", "Canberra"),
    (CAPITAL, "Canberra\n\nNote: many think that it is Sydney.", "Canberra"),
    (CAPITAL, "The answer is **Canberra**.\n\nLet me know if you need anything else!", "Canberra"),
    (CAPITAL, "Canberra\n\nI hope this helps!", "Canberra"),
    (CAPITAL, "The answer is not Sydney but Canberra.", "Canberra"),
    (CAPITAL, "<answer>Canberra</answer>", "Canberra"),
    (CAPITAL, "<answer>\nCanberra\n</answer>", "Canberra"),
    (CAPITAL, "Sydney is larger.\n<answer>Canberra</answer> (I am sure.)", "Canberra"),
    (CAPITAL, "[THINK]Sydney?[/THINK]Canberra", "Canberra"),
    (CAPITAL, "Final answer: Canberra", "Canberra"),
    (CAPITAL, "**Answer:** Canberra, because the two larger cities could not agree.", "Canberra"),
    (CAPITAL, "La respuesta es Canberra.", "Canberra"),
    (CAPITAL, "\u7b54\u6848\uff1aCanberra", "Canberra"),
    (AUTHOR, "Jane Austen wrote Pride and Prejudice.", "Jane Austen"),
    (AUTHOR, "Pride and Prejudice was written by Jane Austen.", "Jane Austen"),
    (AUTHOR, "It was written by Jane Austen.", "Jane Austen"),
    (AUTHOR, "Jane Austen", "Jane Austen"),
    (MOON, "Neil Armstrong was the first man on the moon.", "Neil Armstrong"),
    (MOON, "The first man on the moon was Neil Armstrong.", "Neil Armstrong"),
    (MOON, "It was Neil Armstrong.", "Neil Armstrong"),
    (Task("What color is the sky?"), "The sky is blue.", "blue"),
    (Task("What is the currency of Japan?"), "The currency of Japan is the yen.", "the yen"),
    (Task("What is the chemical symbol for gold?"), "The chemical symbol for gold is Au.", "Au"),
]
NO_ANSWER = [
    *("I don't know.", "I'm not sure.", "No idea", "I'm sorry, but I can't help with that.", "IDK", "Beats me!"),
    *("As an AI language model, I don't have opinions.", "I am unable to answer this question.", "Keine Ahnung."),
    *(
        "Je ne sais pas.",
        "No lo s\u00e9.",
        "\u6211\u4e0d\u77e5\u9053\u3002",
        "\u308f\u304b\u308a\u307e\u305b\u3093\u3002",
    ),
    *("The answer is: I don't know.", "\\boxed{\\text{I don't know}}", "<answer>I don't know</answer>"),
    *('{"answer": null}', '{"answer": ""}', '{\n "answer": "___"\n}', "<answer></answer>", "<answer>...</answer>"),
    *("</answer>", "<answer>", "```\n```", "}", "I'm sorry, I can't assist with that request. Please ask a doctor."),
]


def answer_of(kind: AnswerType, text: str, task: Task) -> str | None:
    """The answer with which a completion votes."""
    found = make_candidate(Sample(index=0, text=text), kind, task).extraction
    return found.answer if found else None


@pytest.mark.parametrize("text", LETTER_B)
def test_a_chosen_letter_is_found_however_the_completion_ends(text: str) -> None:
    """Letter first and reasons after, or reasons and then the letter; other letters are named beside it."""
    assert answer_of(Choice(), text, CITY) == "B"


@pytest.mark.parametrize(("task", "text", "answer"), LABELS)
def test_labels_and_other_options_likewise(task: Task, text: str, answer: str) -> None:
    """True, False or Uncertain; yes or no; entailment; ten letters; options that are numbers or have small letters."""
    assert answer_of(Choice(), text, task) == answer


@pytest.mark.parametrize("text", NUMBER_72)
def test_the_number_at_the_end_is_found(text: str) -> None:
    """Whatever marks it, and whatever the completion says after it."""
    assert answer_of(Number(), text, APPLES) == "72"


@pytest.mark.parametrize(("task", "text", "answer"), FACTS)
def test_a_short_fact_is_found_within_its_sentence(task: Task, text: str, answer: str) -> None:
    """What repeats the question, says how sure it is or explains is no part of it."""
    assert answer_of(Text(), text, task) == answer


@pytest.mark.parametrize("text", NO_ANSWER)
@pytest.mark.parametrize("kind", [Text(), Choice(), Number()], ids=lambda kind: kind.name)
def test_what_gives_no_answer_does_not_vote(kind: AnswerType, text: str) -> None:
    """Refusals, "I don't know", placeholders and lone tags are an answer of no type."""
    assert answer_of(kind, text, CAPITAL) is None
