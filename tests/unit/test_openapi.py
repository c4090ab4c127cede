"""The committed API documents are those of the code."""

import json
from typing import Any

import pytest
from pydantic import BaseModel

from openapi.generate import FOLDER, openapi_document, wire_document
from service.aggregators import AGGREGATORS
from service.answer_types import ANSWER_TYPES
from service.app import create_app
from service.contract import AnswerRequest
from service.registry import Options, Registry
from service.samplers import SAMPLERS
from service.settings import Settings
from service.stopping import STOPPING_RULES


def test_openapi_is_fresh() -> None:
    """openapi.json is what the code generates; if not: make openapi."""
    assert (FOLDER / "openapi.json").read_text("utf-8") == openapi_document()


def test_wire_schema_is_fresh() -> None:
    """wire.schema.json is what the code generates; if not: make openapi."""
    assert (FOLDER / "wire.schema.json").read_text("utf-8") == wire_document()


def test_every_reference_resolves() -> None:
    """Every $ref of the public document points to a schema that is there."""
    document = json.loads(openapi_document())
    text = json.dumps(document)
    named = {part.split('"')[0] for part in text.split('"#/components/schemas/')[1:]}
    assert named <= set(document["components"]["schemas"])


def test_contract_fields_of_the_request() -> None:
    """The request has the fields of the public contract, and no field has been lost."""
    promised = {
        "model", "question", "messages", "n", "aggregator", "answer_type", "choices", "sampler", "stop", "members",
        "sampling", "budget", "quorum", "min_confidence", "background", "stream", "include",
    }  # fmt: skip
    assert promised <= set(AnswerRequest.model_fields)


def test_every_problem_is_described() -> None:
    """POST /v1/answers documents its problems as application/problem+json."""
    responses = json.loads(openapi_document())["paths"]["/v1/answers"]["post"]["responses"]
    for code in ("400", "404", "408", "413", "422", "429", "502", "503", "504"):
        assert "application/problem+json" in responses[code]["content"]


@pytest.mark.parametrize(
    ("field", "kind", "registry"),
    [
        ("aggregator", "Aggregator", AGGREGATORS),
        ("answer_type", "AnswerType", ANSWER_TYPES),
        ("sampler", "Sampler", SAMPLERS),
        ("stop", "StoppingRule", STOPPING_RULES),
    ],
)
def test_every_plugin_is_in_the_document_with_its_options(field: str, kind: str, registry: Registry[Any]) -> None:
    """A request's field takes any registered name, or an object with the options of the plug-in that it names."""
    schemas = json.loads(openapi_document())["components"]["schemas"]
    shapes = schemas["AnswerRequest"]["properties"][field]["anyOf"]
    assert [shape.get("$ref", "").split("/")[-1] for shape in shapes[:2]] == [f"{kind}Name", kind]
    assert [shape for shape in shapes[2:] if shape != {"type": "null"}] == []
    assert schemas[f"{kind}Name"]["enum"] == sorted(registry)
    assert set(schemas[kind]["discriminator"]["mapping"]) == set(registry)
    for name, plugin in registry.items():
        shown = schemas[f"{kind}.{name}"]
        assert shown["properties"]["name"]["const"] == name
        assert set(shown["properties"]) - {"name"} == set(plugin.Options.model_json_schema()["properties"] or ())
        assert "name" in shown["required"]


def test_a_plugin_of_another_package_is_in_the_served_document(monkeypatch: pytest.MonkeyPatch) -> None:
    """Registries are read when the document is asked for, so entry points are in it, with their own inner shapes."""

    class Knob(BaseModel):
        turns: int = 1

    class KnobOptions(Options):
        knob: Knob = Knob()

    class Theirs:
        name = "their vote"
        Options = KnobOptions

    app = create_app(Settings())
    monkeypatch.setattr(AGGREGATORS, "_all", {**AGGREGATORS, "their vote": Theirs})
    schemas = app.openapi()["components"]["schemas"]
    assert "their vote" in schemas["AggregatorName"]["enum"]
    shown = schemas["Aggregator.their-vote"]
    assert shown["properties"]["name"]["const"] == "their vote"
    assert shown["properties"]["knob"]["$ref"] == "#/components/schemas/Aggregator.their-vote.Knob"
    assert schemas["Aggregator.their-vote.Knob"]["properties"]["turns"]["default"] == 1


def test_every_reply_is_described_with_its_headers() -> None:
    """Both headers stand at each response of each route; 429 and 503 have Retry-After too."""
    document = json.loads(openapi_document())
    assert {"x-request-id", "x-conclave-overhead-ms"} < set(document["components"]["headers"])
    for path in document["paths"].values():
        for operation in path.values():
            for code, response in operation["responses"].items():
                assert {"x-request-id", "x-conclave-overhead-ms"} <= set(response["headers"])
                assert ("retry-after" in response["headers"]) is (code in ("429", "503"))


def test_both_forms_of_an_answer_are_described() -> None:
    """The answer as JSON, and its events where `stream` asks for them; OpenAI's error object at /v1/models."""
    paths = json.loads(openapi_document())["paths"]
    content = paths["/v1/answers"]["post"]["responses"]["200"]["content"]
    assert set(content) == {"application/json", "text/event-stream"}
    error = paths["/v1/models"]["get"]["responses"]["503"]["content"]["application/json"]
    assert error["schema"] == {"$ref": "#/components/schemas/OpenAIError"}


def test_shipped_aggregators() -> None:
    """The three aggregators of the product's name and the router are registered."""
    assert {"vote", "self_agreement", "gsa", "auto"} <= set(AGGREGATORS)
