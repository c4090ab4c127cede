"""The prompts of the product's asking aggregators, read from their text files and filled as the product fills them."""

import re
from collections.abc import Sequence
from pathlib import Path
from random import Random
from string import Template, ascii_lowercase

FOLDER = Path(__file__).parents[2] / "service" / "aggregators" / "prompts"

OPTIONS = ("(A) True\n(B) False", "(A) False\n(B) True")
"""The choices of the P(True) prompt: the standard order, and swapped."""

MAJORITY_PHRASE = "The majority voted answer is"

_RENDERED = ("] Solution ", "] End of solutions.", "(A) True", "(B) False", "(A) False", "(B) True", "(A)", "(B)")


def load_prompt(name: str) -> Template:
    """Read one template, without the line break at its end."""
    return Template((FOLDER / f"{name}.txt").read_text(encoding="utf-8").rstrip("\n"))


def fixed_pieces() -> list[str]:
    """All text of the templates that is always the same, in pieces of at most a line, and that of their filling."""
    pieces = set(_RENDERED)
    for name in ("self_agreement", "gsa", "p_true", "fobar"):
        for line in load_prompt(name).template.splitlines():
            pieces.update(re.split(r"\$\w+", line))
    return sorted(piece for piece in pieces if len(piece) > 1)


def draw_fence(rng: Random) -> str:
    """Draw the eight letters that mark where solutions begin and end."""
    return "".join(rng.choices(ascii_lowercase, k=8))


def render_solutions(texts: Sequence[str], fence: str) -> str:
    """Write solutions one below the other, each behind its marker."""
    parts = [f"[{fence}] Solution {number}:\n{text}\n" for number, text in enumerate(texts, start=1)]
    return "".join(parts) + f"[{fence}] End of solutions."


def render_comparison(template: Template, question: str, texts: Sequence[str], fence: str) -> str:
    """Fill the prompt of self-agreement or of generative self-aggregation."""
    return template.substitute(question=question, solutions=render_solutions(texts, fence), fence=fence)
