"""`CloudEvents`: documents from any stream become events, and whoever sent one hears what became of each."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import AsyncIterable, AsyncIterator, Awaitable, Callable

import attrs
import trio

from procession.actors.supervisor import contained
from procession.errors import PublishRefused, RuntimeClosed, TooLarge
from procession.injectors.answers import Accepting, Answer, publish_each
from procession.primitives.cloudevents import STRUCTURED, CloudEventError, parse_document
from procession.primitives.injector import Injector, Intake
from procession.primitives.outside import Outside

logger = logging.getLogger("procession.injectors")

_BLOCK_BYTES = 1 << 16


@attrs.define(eq=False)
class Document:
    """A structured CloudEvent or a batch of them, as it came; and the answers to it, once there are some."""

    body: bytes
    content_type: str = STRUCTURED
    _answers: list[Answer] = attrs.field(factory=list, init=False)
    _done: trio.Event = attrs.field(factory=trio.Event, init=False)
    _left: bool = attrs.field(default=False, init=False)

    async def answered(self) -> list[Answer]:
        """What became of each event, in order; waits until it is known and durable.

        Raises:
            RuntimeClosed: nobody will tell, since the runtime ended before. Sent again, nothing is accepted twice.
        """
        await self._done.wait()
        if self._left:
            raise RuntimeClosed
        return self._answers

    def answer(self, answers: list[Answer]) -> None:
        """Tell whoever waits."""
        self._answers = answers
        self._done.set()

    def leave(self) -> None:
        """Nobody will answer it, where nobody did."""
        if not self._done.is_set():
            self._left = True
            self._done.set()


async def accept_document(publish: Accepting, document: Document) -> list[Answer]:
    """Publish all events of a document; those that can be accepted are, whatever becomes of the others.

    A document that can't be read at all has one answer: why.

    Raises:
        RuntimeClosed: the runtime is closing. What was not answered may be sent again, nothing is accepted twice.
    """
    try:
        found = parse_document(document.body, document.content_type)
    except CloudEventError as error:
        return [Answer(None, None, error=error)]
    if len(found) > publish.events_max:
        too_many = TooLarge("the batch", len(found), publish.events_max, "intake.publish_batch_max")
        return [Answer(None, None, error=too_many)]
    answers: list[Answer | None] = []
    right: list[Outside] = []
    for one in found:
        try:
            if isinstance(one, CloudEventError):
                raise one
            right.append(publish.decoded(one))
            answers.append(None)
        except PublishRefused as error:
            id_, source = (None, None) if isinstance(one, CloudEventError) else (one.id, one.source)
            answers.append(Answer(id_, source, error=error))
    accepted = iter(await publish_each(publish, right))
    return [next(accepted) if answer is None else answer for answer in answers]


class CloudEvents(Injector, name="cloudevents"):
    """Publishes what a stream of documents holds: a memory channel, a socket by `documents_of`, any async iterator.

        send, receive = trio.open_memory_channel[Document](64)
        CloudEvents(receive)
        ...
        await send.send(document := Document(body, "application/cloudevents-batch+json"))
        for answer in await document.answered(): ...

    Args:
        documents: documents, or the bytes of structured ones. It ends where they end.
        answer: called with each document and its answers, before the next one is read. What it raises is logged.
        at_once_max: documents on their way at one time, 1 to 1,000; with more than one they may overtake each other.
        name: in the tree.
    """

    documents: AsyncIterable[Document] | AsyncIterable[bytes]
    answer: Callable[[Document, list[Answer]], Awaitable[None]] | None = None
    at_once_max: int = attrs.field(
        default=1, kw_only=True, validator=[attrs.validators.ge(1), attrs.validators.le(1_000)]
    )
    _name: str = attrs.field(default="cloudevents", alias="name", kw_only=True)

    @property
    def actor(self) -> str:
        """Its name in the tree."""
        return self._name

    async def run(self, publish: Intake) -> None:
        """Publish document after document, until there are no more."""
        slots = trio.Semaphore(self.at_once_max)
        try:
            async with trio.open_nursery() as nursery:
                async for given in self.documents:
                    document = Document(given) if isinstance(given, bytes) else given
                    try:
                        await slots.acquire()
                    except BaseException:
                        document.leave()
                        raise
                    nursery.start_soon(self._take, publish, document, slots)
        except BaseException:
            if trio.current_effective_deadline() <= trio.current_time():  # it is cancelled; else it begins again
                self._leave_all()
            raise

    def _leave_all(self) -> None:
        """The runtime ends: nobody takes what still waits in a channel."""
        if isinstance(self.documents, trio.MemoryReceiveChannel):
            with contextlib.suppress(trio.WouldBlock, trio.EndOfChannel, trio.ClosedResourceError):
                while True:
                    document = self.documents.receive_nowait()
                    if isinstance(document, Document):
                        document.leave()

    async def _take(self, publish: Intake, document: Document, slots: trio.Semaphore) -> None:
        try:
            answers = await accept_document(publish, document)
            for number, one in enumerate(answers):
                if one.error is not None:
                    publish.refused(f"event {number} of a document ({one.source or '-'} {one.id or '-'})", one.error)
            document.answer(answers)
            if (tell := self.answer) is not None:
                told = await contained(lambda: tell(document, answers))
                if told.error is not None:  # what was accepted is, and the next document is none the worse for it
                    logger.warning("%s: the answers to a document were not taken: %s", self.actor, told.error)
        finally:
            document.leave()
            slots.release()


async def documents_of(stream: trio.abc.ReceiveStream, document_bytes_max: int) -> AsyncIterator[Document]:
    """The documents of a stream on which each is one line of JSON; what stands after the last newline is one, too.

    Raises:
        TooLarge: a line is longer than allowed. What came before it was handed out.
    """
    rest = b""
    while True:
        block = await stream.receive_some(_BLOCK_BYTES)
        *lines, rest = (rest + bytes(block)).split(b"\n") if block else [rest, b""]
        for line in lines:
            if len(line) > document_bytes_max:
                raise TooLarge("a line of the stream", len(line), document_bytes_max, "document_bytes_max")
            if line.strip():
                yield Document(line)
        if len(rest) > document_bytes_max:
            raise TooLarge("a line of the stream", len(rest), document_bytes_max, "document_bytes_max")
        if not block:
            return
