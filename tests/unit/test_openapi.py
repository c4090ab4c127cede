"""The committed API documents are those of the code."""

import json

from openapi.generate import FOLDER, openapi_document, wire_document
from service.aggregators import AGGREGATORS
from service.contract import AnswerRequest


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
    for code in ("404", "413", "422", "502", "503", "504"):
        assert "application/problem+json" in responses[code]["content"]


def test_shipped_aggregators() -> None:
    """The three aggregators of the product's name and the router are registered."""
    assert {"vote", "self_agreement", "gsa", "auto"} <= set(AGGREGATORS)
