"""Sound requests for the fuzzer, which reach what no document can name: keys, tasks, commands, forms."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from urllib.parse import quote

from tests.daemon.http.damage import Asked
from tests.daemon.http.served import cloud_event

_SAID = {"by": "ann", "why": "it must be done"}
_JSON, _EVENT, _BATCH = "application/json", "application/cloudevents+json", "application/cloudevents-batch+json"


def sound_requests(number: int, task: Callable[[str], str]) -> Iterator[tuple[Asked, int]]:
    """Requests that must be answered with these statuses, in this order; each round has names of its own.

    Args:
        number: of the round.
        task: the id of the open task that a flow asked for.
    """
    key, lost, asking = f"order/{number}", f"lost-{number}", str(1_000 + number)
    sent: dict[str, object] = {
        "basket": key,
        "lines": [{"article": "pen", "pieces": 3, "price": "1.50"}],
        "wanted_at": "2026-01-01T00:00:00Z",
    }
    yield _post("/v1/events", cloud_event("basket.sent", f"{key}/sent", sent), _EVENT), 200
    batch = [
        cloud_event("basket.sent", f"{lost}/sent", {"basket": lost, "lines": []}),
        cloud_event("return.filed", f"{asking}/filed", {"number": int(asking), "cents": 100}),
        cloud_event("return.filed", f"{asking}0/filed", {"number": int(asking) * 10, "cents": 100}),
    ]
    yield _post("/v1/gateways/packers/pause", _SAID), 200
    yield _post("/v1/events", batch, _BATCH), 200
    headers = {"ce-specversion": "1.0", "ce-id": f"{lost}/dropped", "ce-source": "test", "ce-type": "basket.dropped"}
    yield Asked("POST", "/v1/events", {"Content-Type": _JSON, **headers}, json.dumps({"basket": lost}).encode()), 200
    yield from _on_flows(key, lost)
    yield _post("/v1/gateways/packers/resume", _SAID), 200
    yield _post("/v1/commands/stock.take", {"data": {"article": key, "pieces": 1}, "id": key, "source": "test"}), 200
    yield _post("/v1/projections/baskets/queries/larger_than", {"parameters": {"pieces": 1}, "at_least": 1}), 200
    yield _get("/v1/flows?process=basket&status=ended&key_prefix=order&limit=5&cursor=3"), 200
    yield _get("/v1/events?type=basket.sent&after=2&limit=5"), 200
    yield _get("/v1/tasks?assignee=ann&group=clerks&state=all&limit=3"), 200
    first, second = task(f"return/{asking}"), task(f"return/{asking}0")
    yield _post(f"/v1/tasks/{first}/claim", {"by": "ann"}), 200
    yield _post(f"/v1/tasks/{second}/reassign", {**_SAID, "person": "eve"}), 200
    yield _post(f"/v1/tasks/{first}/answer", {"by": "ann", "answer": {"accepted": True, "comment": "fine"}}), 200
    yield _post(f"/v1/tasks/{second}/cancel", _SAID), 200
    yield _post("/v1/archive", {**_SAID, "older_than_s": 0, "process": "basket", "limit": 2}), 200


def _on_flows(key: str, lost: str) -> Iterator[tuple[Asked, int]]:
    """On the flow that was dropped, once it is set aside; and on another one."""
    one, other = f"/v1/flows/basket/{quote(lost, safe='')}", f"/v1/flows/basket/{quote(key, safe='')}"
    yield _get(f"{one}/why-not"), 200
    yield _post(f"{one}/retry", _SAID), 200
    yield _post("/v1/quarantine/retry", {**_SAID, "key_prefix": lost, "limit": 3}), 200
    yield _post(f"{one}/skip", _SAID), 200
    yield _post(f"{one}/skip", _SAID), 409
    yield _post(f"{one}/release", _SAID), 409
    yield _get(f"{one}/history"), 200
    yield _get(f"{one}/why?what=basket.sent"), 200
    yield _get(f"{one}/why?what=basket.snt"), 404
    yield _get(other), 200
    yield _post(f"{one}/cancel", {**_SAID, "force": True}), 200


def _post(target: str, sent: object, media: str = _JSON) -> Asked:
    return Asked("POST", target, {"Content-Type": media}, json.dumps(sent).encode())


def _get(target: str) -> Asked:
    return Asked("GET", target, {}, b"")
