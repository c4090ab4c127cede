"""What FastAPI cannot know of the OpenAPI document: problems, every reply's headers, the plug-ins and their options."""

import re
from collections.abc import Iterator
from typing import Any

from fastapi import FastAPI

from service.aggregators import AGGREGATORS
from service.answer_types import ANSWER_TYPES
from service.api.middleware import OVERHEAD, REQUEST_ID
from service.contract import Problem
from service.registry import Plugin, Registry
from service.samplers import SAMPLERS
from service.stopping import STOPPING_RULES

SCHEMAS = "#/components/schemas/"
METHODS = frozenset({"get", "put", "post", "delete", "options", "head", "patch", "trace"})

PLUGINS: dict[str, tuple[str, Registry[Any]]] = {
    "aggregator": ("Aggregator", AGGREGATORS),
    "answer_type": ("AnswerType", ANSWER_TYPES),
    "sampler": ("Sampler", SAMPLERS),
    "stop": ("StoppingRule", STOPPING_RULES),
}
"""Fields of requests that name a plug-in: what its schemas are called after, and the registry with all there are."""

HEADERS: dict[str, Any] = {
    REQUEST_ID: {
        "description": "The request's id: the caller's own where it sent a short and plain one, else a new one.",
        "schema": {"type": "string", "maxLength": 128},
    },
    OVERHEAD: {
        "description": "Milliseconds up to the reply's first byte, without those in which the request waited for its "
        "own body, for workers or for another gateway.",
        "schema": {"type": "number", "minimum": 0},
    },
}
OPENAI_ERROR: dict[str, Any] = {
    "description": "OpenAI's error object.",
    "type": "object",
    "required": ["error"],
    "properties": {
        "error": {
            "type": "object",
            "required": ["message", "type", "param", "code"],
            "properties": {
                "message": {"type": "string"},
                "type": {"type": "string", "enum": ["invalid_request_error", "server_error"]},
                "param": {"anyOf": [{"type": "string"}, {"type": "null"}]},
                "code": {"type": "string"},
            },
        }
    },
}
RETRY_AFTER = {"description": "Seconds to wait before trying again.", "schema": {"type": "integer", "minimum": 0}}


def describe(app: FastAPI) -> None:
    """Has the application's OpenAPI document completed, once, when it is first asked for.

    Only then are the registries read, so that plug-ins of other packages are in the document that is served.
    """
    plain = app.openapi

    def openapi() -> dict[str, Any]:
        if app.openapi_schema is None:
            _complete(plain())
        return app.openapi_schema or {}

    app.openapi = openapi  # type: ignore[method-assign]  # the way FastAPI documents for extending the document


def _complete(document: dict[str, Any]) -> None:
    schemas = document["components"]["schemas"]
    schemas["Problem"] = Problem.model_json_schema(ref_template=SCHEMAS + "{model}")
    schemas["OpenAIError"] = OPENAI_ERROR
    for unused in ("HTTPValidationError", "ValidationError", "Choice"):
        schemas.pop(unused, None)
    for field, (kind, registry) in PLUGINS.items():
        schemas.update(_plugins(kind, registry))
        for request in ("AnswerRequest", "AggregateRequest"):
            fields = schemas[request]["properties"]
            if field in fields:
                fields[field] = _named(fields[field], kind)
    document["components"]["headers"] = {**HEADERS, "retry-after": RETRY_AFTER}
    for code, response in _responses(document):
        names = [*HEADERS, "retry-after"] if code in ("429", "503") else HEADERS
        response["headers"] = {name: {"$ref": f"#/components/headers/{name}"} for name in names}


def _responses(document: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    for path in document["paths"].values():
        for method, operation in path.items():
            if method in METHODS:
                yield from operation["responses"].items()


def _named(field: dict[str, Any], kind: str) -> dict[str, Any]:
    """A field that takes a plug-in's name, or an object with the name and options; whether it may be null stays."""
    null = [shape for shape in field.get("anyOf", ()) if shape.get("type") == "null"]
    names = [{"$ref": f"{SCHEMAS}{kind}Name"}, {"$ref": f"{SCHEMAS}{kind}"}]
    plain = {key: value for key, value in field.items() if key != "oneOf"}
    return {**plain, "anyOf": [*names, *null]}


def _plugins(kind: str, registry: Registry[Any]) -> dict[str, Any]:
    """The schemas of one kind of plug-in: all names, each plug-in with its options, and the choice among these."""
    found: dict[str, Any] = {}
    mapping: dict[str, str] = {}
    for name in sorted(registry):
        title = f"{kind}.{re.sub(r'[^A-Za-z0-9._-]', '-', name)}"
        mapping[name] = SCHEMAS + title
        found |= _with_options(registry[name], name, title)
    found[f"{kind}Name"] = {"type": "string", "enum": sorted(registry)}
    found[kind] = {
        "oneOf": [{"$ref": place} for place in mapping.values()],
        "discriminator": {"propertyName": "name", "mapping": mapping},
    }
    return found


def _with_options(plugin: type[Plugin], name: str, title: str) -> dict[str, Any]:
    """The schema of one plug-in as an object, and those that its options refer to, under names of its own."""
    options = plugin.Options.model_json_schema(ref_template=f"{SCHEMAS}{title}.{{model}}")
    inner = options.pop("$defs", {})
    options["title"] = title
    options["properties"] = {"name": {"const": name, "type": "string"}, **options.get("properties", {})}
    options["required"] = ["name", *options.get("required", ())]
    return {title: options, **{f"{title}.{part}": schema for part, schema in inner.items()}}
