"""CloudEvents from any stream: each event has its answer, and one that is refused holds up no other."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import trio
import trio.testing

from procession import CloudEvents, Document, Runtime
from procession.errors import RuntimeClosed, TooLarge
from procession.injectors.answers import Answer
from procession.injectors.cloud_events import documents_of
from tests.injectors.door import injectors_of, open_doors, opened, until_accepted

BATCH = "application/cloudevents-batch+json; charset=utf-8"


def event(door: str, **changed: object) -> dict[str, object]:
    whole: dict[str, object] = {"specversion": "1.0", "id": door, "source": "shop", "type": "door.opened"}
    return whole | {"data": {"door": door}} | changed


def batch(*events: object) -> Document:
    return Document(json.dumps(events).encode(), BATCH)


async def answers_to(folder: Path, *documents: Document) -> list[dict[str, object]]:
    """The answers to all events of these documents, each sent when the one before was answered."""
    send, receive = trio.open_memory_channel[Document](1)
    found: list[Answer] = []
    async with open_doors(folder, CloudEvents(receive)), send:
        for document in documents:
            await send.send(document)
            found += await document.answered()
    return [answer.as_json() for answer in found]


async def test_a_structured_document_is_one_event(tmp_path: Path) -> None:
    found = await answers_to(tmp_path, Document(json.dumps(event("a")).encode()))
    assert found == [{"id": "a", "source": "shop", "position": 1, "duplicate": False}]


async def test_each_event_of_a_batch_has_its_answer(tmp_path: Path) -> None:
    wrong = [3, event("b", type="door.painted"), event("c", data={"dor": "c"}), event("", id="d"), event("e", id="")]
    found = await answers_to(tmp_path, batch(event("a"), *wrong, event("f"), event("a")))
    assert [answer.get("position") for answer in found] == [1, None, None, None, None, None, 2, 1]
    assert [answer.get("duplicate") for answer in found][-1] is True
    errors = [str(answer["error"]) for answer in found[1:6]]
    assert errors[0] == "it is a number, no JSON object; write one CloudEvent in a line"
    assert "event type 'door.painted' is not known here" in errors[1]
    assert "the data of 'door.opened' does not fit its type" in errors[2]
    assert "keys are strings of 1 to 512 bytes" in errors[3]
    assert "the event has the id ''" in errors[4]
    assert [answer["id"] for answer in found[1:6]] == [None, "b", "c", "d", None]


async def test_what_is_sent_again_is_a_duplicate_and_other_content_under_its_id_is_refused(tmp_path: Path) -> None:
    changed = event("a", data={"door": "x"})
    found = await answers_to(tmp_path, batch(event("a")), batch(event("a")), batch(changed, event("b")))
    assert [answer.get("duplicate") for answer in found] == [False, True, None, False]
    assert "give it its own id" in str(found[2]["error"])


@pytest.mark.parametrize(
    ("document", "sentence"),
    [
        (Document(b"{"), "it is no JSON"),
        (Document(b"{}"), "the event has no specversion"),
        (Document(b"{}", BATCH), "the batch is an object; write a JSON list of CloudEvents"),
        (Document(b"[]", "text/plain"), "the content type is 'text/plain'; send application/cloudevents+json or app"),
        (batch(*[event("a")] * 1_001), "the batch is 1001, at most 1000 is allowed"),
    ],
)
async def test_a_document_that_can_not_be_read_has_one_answer(
    tmp_path: Path, document: Document, sentence: str
) -> None:
    (found,) = await answers_to(tmp_path, document)
    assert str(found["error"]).startswith(sentence)


async def test_an_empty_batch_has_no_answers(tmp_path: Path) -> None:
    assert await answers_to(tmp_path, batch()) == []


async def test_refusals_are_counted_and_shown(tmp_path: Path) -> None:
    send, receive = trio.open_memory_channel[Document](1)
    async with open_doors(tmp_path, CloudEvents(receive)) as runtime, send:
        await send.send(document := batch(3, event("a")))
        await document.answered()
        assert runtime.counters()["procession_facts_refused"] == 1
        assert injectors_of(runtime)["cloudevents"].detail.startswith("1 refused, the last: event 0 of a document")


async def test_bytes_of_an_async_iterator_are_documents_too(tmp_path: Path) -> None:
    async def documents() -> AsyncIterator[bytes]:
        for door in ("a", "b"):
            await trio.lowlevel.checkpoint()
            yield json.dumps(event(door)).encode()

    async with open_doors(tmp_path, CloudEvents(documents(), at_once_max=2)) as runtime:
        await until_accepted(runtime, 2)
        assert await opened(runtime) == Counter(a=1, b=1)


async def test_a_socket_sends_a_document_a_line_and_hears_the_answers(tmp_path: Path) -> None:
    theirs, ours = trio.testing.memory_stream_pair()

    async def answer(_: Document, answers: list[Answer]) -> None:
        await ours.send_all(json.dumps([one.as_json() for one in answers]).encode() + b"\n")

    async with open_doors(tmp_path, CloudEvents(documents_of(ours, 10_000), answer, name="socket")):
        text = json.dumps(event("a")).encode()
        await theirs.send_all(text[:20])
        await theirs.send_all(text[20:] + b"\n\n")
        said = await theirs.receive_some()
    assert json.loads(said) == [{"id": "a", "source": "shop", "position": 1, "duplicate": False}]


async def test_a_line_of_a_stream_has_a_bound() -> None:
    theirs, ours = trio.testing.memory_stream_pair()
    await theirs.send_all(b"{}\n" + b"x" * 101)
    await theirs.aclose()
    found = documents_of(ours, 100)
    assert (await anext(found)).body == b"{}"
    with pytest.raises(TooLarge, match="a line of the stream is 101, at most 100 is allowed"):
        await anext(found)


async def test_what_stands_after_the_last_newline_of_a_stream_is_a_document() -> None:
    theirs, ours = trio.testing.memory_stream_pair()
    await theirs.send_all(b"{}\n[]")
    await theirs.aclose()
    assert [document.body async for document in documents_of(ours, 100)] == [b"{}", b"[]"]


async def test_a_callback_that_fails_ends_nothing(tmp_path: Path) -> None:
    theirs, ours = trio.testing.memory_stream_pair()
    calls: list[int] = []

    async def answer(_: Document, answers: list[Answer]) -> None:
        calls.append(1)
        if len(calls) == 1:
            raise trio.BrokenResourceError

    async with open_doors(tmp_path, CloudEvents(documents_of(ours, 10_000), answer, name="socket")) as runtime:
        for number, door in enumerate(("a", "b"), 1):
            await theirs.send_all(json.dumps(event(door)).encode() + b"\n")
            await until_accepted(runtime, number)
        assert injectors_of(runtime)["socket"].state == "running"


async def test_who_waits_for_answers_of_a_runtime_that_closes_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def never(*_: object) -> None:
        await trio.sleep_forever()

    monkeypatch.setattr(Runtime, "publish", never)
    send, receive = trio.open_memory_channel[Document](8)
    documents = [Document(json.dumps(event(door)).encode()) for door in "abcd"]
    async with open_doors(tmp_path, CloudEvents(receive)):
        for document in documents:
            await send.send(document)
        await trio.testing.wait_all_tasks_blocked(0.05)
    with trio.fail_after(30):
        for document in documents:
            with pytest.raises(RuntimeClosed):
                await document.answered()
