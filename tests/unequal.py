"""A recording of unequal models, for the tests of voting among them."""

import json
from pathlib import Path
from typing import Any

QUESTIONS = 40
MEMBERS = ("good@home", "weak-1", "weak-2", "weak-3")


def recording(folder: Path, lacking: int = QUESTIONS - 1) -> Path:
    """The good model is right three times of four; the weak ones agree on the wrong answer and outvote it. Only the
    good one has the question `lacking`. Each sample has a reward, the higher for the right ones."""
    rows = []
    for place in range(QUESTIONS):
        said = {"good@home": "4" if place % 4 else "5", **dict.fromkeys(MEMBERS[1:], "7")}
        samples: list[dict[str, Any]] = [
            {"text": f"The answer is {answer}.", "extra": {"model": model, "rm_score": 2.0 if answer == "4" else -1.0}}
            for model, answer in said.items()
            if place != lacking or model == "good@home"
        ]
        rows.append({"id": f"q{place}", "question": f"{place}: how many?", "gold": "4", "answer_type": "number"})
        rows[-1]["samples"] = samples
    path = folder / "made.jsonl.gz"  # read by its first bytes, not by its name
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path
