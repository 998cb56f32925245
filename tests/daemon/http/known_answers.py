"""What the OpenAPI document says of answers: whether one that came is one of these."""

from __future__ import annotations

import json
import re
from typing import Any

import attrs
import jsonschema_rs

from tests.daemon.http.damage import Asked

_OF_FILES = frozenset({200, 304, 400, 403, 404, 405, 421, 431})
"""Files stand outside of the document: a browser finds them by their page."""


@attrs.frozen
class Answers:
    """What the document says of answers."""

    routes: tuple[tuple[re.Pattern[str], dict[str, Any]], ...]
    """What an address looks like, and the operations there; those without parts first."""
    schemas: dict[str, Any]
    """Validators of answers that are JSON, by operation."""

    @classmethod
    def of(cls, document: dict[str, Any]) -> Answers:
        routes, schemas = [], {}
        for path, operations in sorted(document["paths"].items(), key=lambda item: "{" in item[0]):
            routes.append((re.compile(re.sub(r"\{\w+\}", "[^/]+", path)), operations))
            for operation in operations.values():
                done = operation["responses"].get("200", {"content": {}})
                schema = done["content"].get("application/json", {}).get("schema")
                if schema is not None:
                    whole = {**schema, "components": document["components"]}
                    schemas[operation["operationId"]] = jsonschema_rs.Draft202012Validator(whole)
        problem = {"$ref": "#/components/schemas/Problem", "components": document["components"]}
        return cls(tuple(routes), {**schemas, "": jsonschema_rs.Draft202012Validator(problem)})

    def fault(self, asked: Asked, status: int, media: str, body: bytes) -> str:
        """What is wrong with an answer; empty where nothing is."""
        if status >= 500:
            return "it failed"
        if asked.path == "/" or asked.path.startswith("/dashboard"):
            return "" if status in _OF_FILES else f"{status} is not for a file of the dashboard"
        at = next((operations for path, operations in self.routes if path.fullmatch(asked.path)), None)
        operation = None if at is None else at.get("get" if asked.method == "HEAD" else asked.method.lower())
        known = {"404"} if at is None else {"405"} if operation is None else set(operation["responses"])
        if str(status) not in known | {"400", "403", "421", "431"}:
            return f"{status} is not documented"
        done = str(status) in ("200", "204")
        wanted = set(operation["responses"][str(status)].get("content", {""})) if done else {"application/problem+json"}  # type: ignore[index]  # there is one
        if media not in wanted:
            return f"the media type is {media}, not {' or '.join(wanted)}"
        validator = self.schemas.get(operation["operationId"] if done else "")  # type: ignore[index]  # as above
        if validator is None or asked.method == "HEAD" or (done and media != "application/json"):
            return ""
        return "; ".join(error.message for error in validator.iter_errors(json.loads(body)))
