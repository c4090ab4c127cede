"""The report that compares our judgement of recorded samples with plain Math-Verify's."""

import json
from pathlib import Path

from service.evaluation.math_report import judge_file, report
from service.settings import Settings


async def test_every_disagreement_is_listed(tmp_path: Path) -> None:
    """Equal shares where both agree; what only one finds right is shown with its record, sample and answer."""
    path = tmp_path / "some.jsonl"
    texts = [r"So \boxed{1+x}.", r"So \boxed{x-1}.", '{"reasoning": "2 + 3 = 5", "answer": "x + 1"}', ""]
    row = {"id": "a", "question": "?", "gold": "x+1", "samples": [{"text": text} for text in texts]}
    path.write_text(json.dumps(row) + "\n" + json.dumps({"id": "b", "question": "?", "samples": []}) + "\n")
    found = report("some", await judge_file(path, Settings()))
    assert (found["samples"], found["ours"], found["math_verify"]) == (4, 0.5, 0.25)
    assert found["only_math_verify"] == []
    (only,) = found["only_ours"]  # type: ignore[misc]
    assert (only["record"], only["sample"], only["gold"], only["answer"]) == ("a", 2, "x+1", "x+1")
