"""The OpenAPI and AsyncAPI documents: valid by their own specifications, whole, and true to what is answered."""

from __future__ import annotations

import gzip
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema  # type: ignore[import-untyped]  # it has no types, and its stubs are a package of their own
import pytest
from openapi_spec_validator import OpenAPIV31SpecValidator

from procession.daemon.http.app import ROUTES
from procession.daemon.http.asyncapi import asyncapi_of
from procession.daemon.http.openapi import openapi_of
from procession.primitives.registration import build_registry
from procession.primitives.registry import Registry
from procession.settings import Settings
from procession.wiring import registry_of
from tests.daemon.http.shop import wire_testing
from tests.daemon.http.test_operating import got, shop

OFFICIAL = Path(__file__).parents[2] / "fixtures" / "asyncapi" / "asyncapi-3.0.0.json.gz"


def shop_registry() -> Registry:
    return registry_of(wire_testing(Settings()))


def openapi() -> dict[str, Any]:
    return openapi_of(ROUTES, shop_registry())


def references(part: object) -> Iterator[str]:
    if isinstance(part, dict):
        if isinstance(part.get("$ref"), str):
            yield part["$ref"]
        for inner in part.values():
            yield from references(inner)
    if isinstance(part, list):
        for inner in part:
            yield from references(inner)


def found_at(document: Any, reference: str) -> object:  # noqa: ANN401 - JSON
    for name in reference.removeprefix("#/").split("/"):
        document = document[name.replace("~1", "/")]
    return document


def validator(name: str) -> Any:  # noqa: ANN401 - jsonschema has no types
    """Of one named schema of the OpenAPI document."""
    document = openapi()
    return jsonschema.Draft202012Validator(
        {"$ref": f"#/components/schemas/{name}", "components": document["components"]}
    )


@pytest.mark.parametrize(
    "registry",
    [shop_registry(), pytest.param(build_registry((), ()), marks=pytest.mark.slow)],
    ids=["shop", "nothing"],
)
def test_the_openapi_document_is_valid(registry: Registry) -> None:
    OpenAPIV31SpecValidator(json.loads(json.dumps(openapi_of(ROUTES, registry)))).validate()


@pytest.mark.parametrize("registry", [shop_registry(), build_registry((), ())], ids=["shop", "nothing"])
def test_the_asyncapi_document_is_valid(registry: Registry) -> None:
    official = jsonschema.Draft7Validator(json.loads(gzip.decompress(OFFICIAL.read_bytes())))
    official.validate(json.loads(json.dumps(asyncapi_of(registry, "localhost:8080"))))


def test_every_route_is_there_under_an_id_of_its_own_with_its_policy() -> None:
    paths = openapi()["paths"]
    operations = [paths[route.path][route.method.lower()] for route in ROUTES]
    assert sum(len(at) for at in paths.values()) == len(ROUTES)
    assert len({operation["operationId"] for operation in operations}) == len(ROUTES)
    assert [operation["x-policy"] for operation in operations] == [route.policy for route in ROUTES]


@pytest.mark.parametrize("document", [openapi(), asyncapi_of(shop_registry())], ids=["openapi", "asyncapi"])
def test_every_schema_has_a_name_and_every_reference_leads_to_one(document: dict[str, Any]) -> None:
    named = document["components"]["schemas"]
    assert [
        name for name, schema in named.items() if not schema.get("title") or not re.fullmatch(r"[\w.-]+", name)
    ] == []
    for reference in set(references(document)):
        assert found_at(document, reference), reference


def test_the_types_of_the_flows_are_in_both_documents() -> None:
    names = {"event.basket.sent.1", "event.basket.sent.1.Line", "cloudevent.basket.sent.1", "command.stock.take.1"}
    assert names <= openapi()["components"]["schemas"].keys()
    document = asyncapi_of(shop_registry())
    assert names <= document["components"]["schemas"].keys()
    assert {"cloudevent.basket.sent.1", "recorded.procession.gateway_paused.1", "command.stock.take.1"} <= document[
        "components"
    ]["messages"].keys()
    assert list(document["operations"]) == ["publish", "follow", "decide"]


@pytest.mark.parametrize(
    ("event", "fits"),
    [
        ({"data": {"basket": "b1", "lines": [{"article": "pen", "pieces": 1, "price": "1.5"}]}}, True),
        ({"data": {"basket": "b1", "colour": "green"}}, False),
        ({"data": {"basket": "b1", "lines": [{"article": "pen"}]}}, False),
        ({"data": {}}, False),
        ({"data": {"basket": "b1"}, "type": "basket.snt"}, False),
        ({"data": {"basket": "b1"}, "extra field": 1}, False),
    ],
)
def test_an_event_fits_the_document_or_not(event: dict[str, object], fits: bool) -> None:
    whole = {"specversion": "1.0", "id": "1", "source": "shop", "type": "basket.sent", **event}
    assert validator("CloudEvent").is_valid(whole) is fits


def test_what_is_nested_in_a_type_has_a_name_of_its_own() -> None:
    line = {"$ref": "#/components/schemas/event.basket.sent.1.Line"}
    assert openapi()["components"]["schemas"]["event.basket.sent.1"]["properties"]["lines"]["items"] == line


async def test_a_service_answers_with_both_documents() -> None:
    async with shop() as http:
        assert await got(http, "../openapi.json") == json.loads(json.dumps({**openapi(), "security": []}))
        served = await got(http, "../asyncapi.json")
        assert served["servers"]["http"]["host"] == http.address.removeprefix("http://")
        assert {**served, "servers": {}} == {**json.loads(json.dumps(asyncapi_of(shop_registry()))), "servers": {}}
