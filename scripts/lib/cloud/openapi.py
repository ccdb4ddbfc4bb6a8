"""openapi.json: what the job API takes and answers, made of its routes and their types (OpenAPI 3.1)."""

from __future__ import annotations

import inspect
import json
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any, cast

from scripts.lib.cloud.messages import Problem
from scripts.lib.cloud.request import MOST_REQUEST_BYTES, options_schema
from scripts.lib.cloud.routes import ID, ROUTES, Route
from scripts.lib.contracts.schema import Schema, schema_of
from scripts.lib.core.json_type import Json
from scripts.lib.core.provenance import project_version

PARTS, COMPONENTS = "#/$defs/", "#/components/schemas/"
KEY: Schema = {
    "name": "Idempotency-Key",
    "in": "header",
    "description": "The same request with the same key is done once, however often it is sent.",
    "schema": {"type": "string", "pattern": "^[!-~]*$", "maxLength": 200},
}
ABOUT = (
    "Photos to a 3D Gaussian splat. Callers sign with IAM, or send a token, as the stack was deployed; each"
    " sees its own uploads and runs alone. A request that is not followed is answered with one sentence in"
    f" `error`. A body has at most {MOST_REQUEST_BYTES} bytes."
)


def document() -> Schema:
    """The whole document."""
    schemas: dict[str, Json] = {"Options": options_schema()}
    paths: dict[str, dict[str, Json]] = {}
    for route in ROUTES:
        paths.setdefault(route.path, {})[route.method.lower()] = _operation(route, schemas)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "splatmake",
            "version": project_version(),
            "summary": "The job API of config/aws/stack.yaml",
            "description": ABOUT,
            "license": {"name": "MIT", "identifier": "MIT"},
        },
        "security": [{"signature": []}, {"token": []}],
        "paths": paths,
        "components": {
            "schemas": dict(sorted(schemas.items())),
            "securitySchemes": {
                "signature": {
                    "type": "apiKey",
                    "in": "header",
                    "name": "Authorization",
                    "description": "AWS Signature Version 4 for the service execute-api.",
                },
                "token": {"type": "http", "scheme": "bearer", "bearerFormat": "JWT"},
            },
        },
    }


def text() -> str:
    """The document as it is committed and served."""
    return json.dumps(document(), indent=1, ensure_ascii=False) + "\n"


def _operation(route: Route, schemas: dict[str, Json]) -> Schema:
    words = inspect.cleandoc((route.does and route.does.__doc__) or "This description.")
    summary, _, more = words.partition("\n\n")
    about: Schema = {"summary": " ".join(summary.split())}
    if more:
        about["description"] = " ".join(more.split())
    about["operationId"] = f"{route.method.lower()}{route.path.title()}".translate(
        {ord(sign): None for sign in "/{}."}
    )
    if parameters := _parameters(route):
        about["parameters"] = parameters
    if route.body:
        about["requestBody"] = {
            "required": True,
            "content": _json(_named(route.body, schemas)),
        }
    refusals = sorted({401, *([400] if _checked(route) else []), *route.refusals})
    problem = _json(_named(Problem, schemas))
    answer = _named(route.answer, schemas) if route.answer else {"type": "object"}
    return about | {
        "responses": {
            str(route.status): {"description": "Done.", "content": _json(answer)},
            **{str(code): {"description": _phrase(code), "content": problem} for code in refusals},
        }
    }


def _checked(route: Route) -> bool:
    """Whether there is something in a call that may be wrong besides the address."""
    return bool(route.body or route.query or route.keyed)


def _phrase(code: int) -> str:
    return f"{HTTPStatus(code).phrase}."


def _parameters(route: Route) -> list[Json]:
    """Those of the path, of the query and of the header."""
    found: list[Json] = []
    if "{id}" in route.path:
        schema: Schema = {"type": "string", "pattern": f"^{ID}$"}
        found.append({"name": "id", "in": "path", "required": True, "schema": schema})
    if route.query:
        properties = cast(Mapping[str, Mapping[str, Json]], schema_of(route.query)["properties"])
        for name, part in properties.items():
            described = {"description": part["description"]} if "description" in part else {}
            bare = {key: value for key, value in part.items() if key != "description"}
            default = getattr(route.query, name, None)
            bare |= {} if default is None else {"default": default}
            found.append({"name": name, "in": "query", **described, "schema": bare})
    return [*found, KEY] if route.keyed else found


def _json(schema: Json) -> Schema:
    return {"application/json": {"schema": schema}}


def _named(kind: type, schemas: dict[str, Json]) -> Schema:
    """A reference to a type's schema, which `schemas` takes with all that it refers to."""
    whole = schema_of(kind)
    parts = cast(Mapping[str, Json], whole.pop("$defs"))
    for name, part in {**parts, kind.__name__: whole}.items():
        schemas[name] = _pointed(part)
    return {"$ref": f"{COMPONENTS}{kind.__name__}"}


def _pointed(value: Any) -> Any:
    """A schema whose references lead into the document."""
    if isinstance(value, Mapping):
        return {key: _pointed(part) for key, part in value.items()}
    if isinstance(value, list):
        return [_pointed(part) for part in value]
    return value.replace(PARTS, COMPONENTS) if isinstance(value, str) else value
