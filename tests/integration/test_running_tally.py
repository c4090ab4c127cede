"""An answer in progress shows what has come so far."""

import json
from pathlib import Path

from tests.conftest import Bench, wait_until


def test_the_tally_grows(bench: Bench, tmp_path: Path) -> None:
    """GET of an answer in progress names its classes so far and no answer; afterwards it names the answer."""
    record = {"id": "q1", "question": "Six times seven?", "samples": [{"text": "The answer is 42."}] * 4}
    file = tmp_path / "recorded.jsonl"
    file.write_text(json.dumps(record) + "\n", "utf-8")
    gateway = bench.gateway()
    bench.worker(f"rec=replay:{file}", replay_delay_ms="400")
    asked = gateway.ask(model="rec", question="Six times seven?", n=4, stop="none", background=True)
    assert asked.status_code == 202
    answer_id = asked.json()["id"]
    seen = wait_until(lambda: (r := gateway.read(answer_id))["candidates"] and r, "a sample is stored")
    assert seen["status"] == "in_progress"
    assert seen["answer"] is None
    assert seen["candidates"][0]["answer"] == "42"
    assert 1 <= seen["usage"]["samples"]["finished"] < 4
    final = gateway.final(answer_id)
    assert (final["status"], final["answer"], final["candidates"][0]["votes"]) == ("answered", "42", 4)
