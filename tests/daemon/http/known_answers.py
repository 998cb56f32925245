"""What the OpenAPI document says of answers: whether one that came is one of these."""

from __future__ import annotations

import json
import re
from typing import Any

import attrs
import jsonschema_rs

from tests.daemon.http.damage import Asked


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
                schema = operation["responses"]["200"]["content"].get("application/json", {}).get("schema")
                if schema is not None:
                    whole = {**schema, "components": document["components"]}
                    schemas[operation["operationId"]] = jsonschema_rs.Draft202012Validator(whole)
        problem = {"$ref": "#/components/schemas/Problem", "components": document["components"]}
        return cls(tuple(routes), {**schemas, "": jsonschema_rs.Draft202012Validator(problem)})

    def fault(self, asked: Asked, status: int, media: str, body: bytes) -> str:
        """What is wrong with an answer; empty where nothing is."""
        if status >= 500:
            return "it failed"
        at = next((operations for path, operations in self.routes if path.fullmatch(asked.path)), None)
        operation = None if at is None else at.get("get" if asked.method == "HEAD" else asked.method.lower())
        known = {"404"} if at is None else {"405"} if operation is None else set(operation["responses"])
        if str(status) not in known | {"400", "403", "421", "431"}:
            return f"{status} is not documented"
        wanted = "application/problem+json" if status != 200 else next(iter(operation["responses"]["200"]["content"]))  # type: ignore[index]  # there is one
        if media != wanted:
            return f"the media type is {media}, not {wanted}"
        validator = self.schemas.get("" if status != 200 else operation["operationId"])  # type: ignore[index]  # as above
        if validator is None or asked.method == "HEAD":
            return ""
        return "; ".join(error.message for error in validator.iter_errors(json.loads(body)))
