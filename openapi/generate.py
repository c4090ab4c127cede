"""`make openapi`: writes openapi.json and wire.schema.json from the code. A test fails when they are stale."""

import json
import sys
from pathlib import Path

from pydantic.json_schema import models_json_schema

from service.app import create_app
from service.settings import Settings
from workers.wire.dispatch import Notice
from workers.wire.messages import WIRE_VERSION, Job, Reply, WorkerCard

FOLDER = Path(__file__).parent


def openapi_document() -> str:
    """The public API, as `GET /openapi.json` shows it."""
    return _text(create_app(Settings()).openapi())


def wire_document() -> str:
    """The messages between gateway and workers, as JSON schema."""
    _, schema = models_json_schema(
        [(model, "validation") for model in (Job, Reply, Notice, WorkerCard)],
        title=f"Conclave wire, version {WIRE_VERSION}",
        ref_template="#/$defs/{model}",
    )
    return _text(schema)


def _text(document: object) -> str:
    return json.dumps(document, indent=1, sort_keys=True, ensure_ascii=False) + "\n"


def main() -> int:
    """Writes both files."""
    (FOLDER / "openapi.json").write_text(openapi_document(), encoding="utf-8")
    (FOLDER / "wire.schema.json").write_text(wire_document(), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
