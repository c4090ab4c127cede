"""A package of somebody else, installed beside Conclave, adds an aggregator and a backend by its entry points alone."""

from pathlib import Path

import pytest

from tests.conftest import Bench
from tests.packages import install
from workers.backends import BACKENDS, BackendSettings, make_backend

MODULE = '''
from pydantic import BaseModel
from service.aggregators.base import Verdict
from service.aggregators.counting import plurality
from service.registry import Options
from workers.wire.messages import Provides, Sample


class ShoutOptions(Options):
    loud: bool = False


class Shout:
    """The plurality, or nothing at all."""

    name = "shout"
    Options = ShoutOptions
    needs = frozenset()
    counts_votes = True
    calls = "0"

    def __init__(self, options):
        self.options = options

    def max_calls(self, n):
        return 0

    async def aggregate(self, panel, ask):
        return plurality(panel) if self.options.loud else Verdict(answer=None, text=None, ranking=(), reason="quiet")


class Parrot:
    """Says the same each time; needs no argument."""

    name = "parrot"
    provides = frozenset({Provides.CHAT})
    capacity_samples = 8

    def __init__(self, argument, settings):
        self.says = argument or "The answer is 7."

    async def start(self):
        pass

    async def sample(self, job, indices):
        for index in indices:
            yield Sample(index=index, text=self.says)

    async def healthy(self):
        return True

    async def close(self):
        pass
'''
ENTRY_POINTS = """
[conclave.aggregators]
shout = someone_elses:Shout
[conclave.backends]
parrot = someone_elses:Parrot
vllm = someone_elses:Parrot
broken = someone_elses:NoSuchThing
"""


@pytest.fixture
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Has the package on the path of this process and of those that it starts."""
    install(monkeypatch, tmp_path, "someone_elses", MODULE, ENTRY_POINTS)


@pytest.mark.usefixtures("installed")
def test_their_plugins_answer_are_checked_and_are_documented(bench: Bench) -> None:
    """Their worker serves, their aggregator chooses with its option, and the document and the catalog name both."""
    bench.worker("bird=parrot")
    gateway = bench.gateway()
    reply = gateway.answer(model="bird", n=2, aggregator={"name": "shout", "loud": True}, answer_type="number")
    assert (reply["answer"], reply["aggregator"]["name"]) == ("7", "shout")
    assert gateway.answer(model="bird", n=2, aggregator="shout")["status"] == "abstained"
    refused = gateway.ask(model="bird", aggregator={"name": "shout", "loud": "very"})
    assert (refused.status_code, refused.json()["field"]) == (422, "aggregator.loud")
    schemas = gateway.http.get("/openapi.json").json()["components"]["schemas"]
    assert "shout" in schemas["AggregatorName"]["enum"]
    assert schemas["Aggregator.shout"]["properties"]["loud"]["type"] == "boolean"
    assert "shout" in {entry["name"] for entry in gateway.http.get("/v1/aggregators").json()["data"]}
    assert gateway.http.get("/v1/models").json()["data"][0]["conclave"]["backends"] == ["parrot"]


@pytest.mark.usefixtures("installed")
def test_their_backends_are_known_and_harm_none() -> None:
    """A scheme of this tree that another package also claims is refused; one that cannot be loaded fails alone."""
    assert {"parrot", "torch", "openai"} < set(BACKENDS)
    assert make_backend("parrot:x", BackendSettings()).name == "parrot"
    assert make_backend("replay:x", BackendSettings()).name == "replay"
    with pytest.raises(ValueError, match="two are called 'vllm'"):
        make_backend("vllm:x", BackendSettings())
    with pytest.raises(ValueError, match="NoSuchThing"):
        make_backend("broken:x", BackendSettings())
    with pytest.raises(ValueError, match=r"one of .*parrot.*torch"):
        make_backend("nonsense:x", BackendSettings())
