"""`JsonLines`: a file of JSON lines that is followed, as `tail -F` follows it; each line is one event, counted once."""

from __future__ import annotations

import functools
import json
import os
from collections.abc import Mapping
from pathlib import Path

import attrs
import trio

from procession.errors import InvalidPayload, PublishRefused, TooLarge
from procession.injectors.answers import publish_each
from procession.injectors.followed_file import FollowedFile, Line
from procession.primitives.cloudevents import parse
from procession.primitives.codec import from_json
from procession.primitives.event import Event
from procession.primitives.injector import Injector, Intake
from procession.primitives.outside import Outside

_ENVELOPE_BYTES_MAX = 65_536
"""What a line may hold beside the data of its event."""
_BOM = b"\xef\xbb\xbf"


class JsonLines(Injector, name="json_lines"):
    """A file of JSON lines, followed for ever or read to its end.

        JsonLines("/var/spool/shop/events.jsonl")                      # CloudEvents, with ids of their own
        JsonLines("/var/log/doors.jsonl", event=DoorOpened)            # plain data, of one type
        JsonLines("doors.jsonl", event={"opened": DoorOpened, "closed": DoorClosed}, type_field="kind")

    Every line is accepted once, over crashes and restarts too: a CloudEvent by its own id, plain data by the place of
    its line, or by one of its fields (`id_field`). How far the file is read is kept beside it, in
    `NAME.JOURNAL.position`. A line that can't be accepted is written to `NAME.rejected` with the reason, counted, and
    said in the log; the others are not held up by it.

    Args:
        path: it need not exist yet. It may be rotated by renaming or by copying and cutting; keep the rotated file
            uncompressed beside it until it is read.
        event: the type of plain data; or types by the value of `type_field`. None: lines are CloudEvents.
        type_field: the field of plain data that tells its type; it is no field of the event.
        id_field: the field of plain data that names the fact; it must be unique within the source.
        source: of plain data, with which its ids are unique; default: `file:` and the name of the file.
        follow: False ends at the end of the file.
        from_end: begin at the end of a file that was never read.
        kept_in: the folder for position and rejected lines; default: that of the file.
        poll_s: how often a file is looked at that has nothing new, 0.01 to 3600.
        name: in the tree; default: `json_lines` and the name of the file.
    """

    path: str | Path
    event: type[Event] | Mapping[str, type[Event]] | None = None
    type_field: str = attrs.field(default="type", kw_only=True)
    id_field: str | None = attrs.field(default=None, kw_only=True)
    source: str = attrs.field(default="", kw_only=True)
    follow: bool = attrs.field(default=True, kw_only=True)
    from_end: bool = attrs.field(default=False, kw_only=True)
    kept_in: str | Path | None = attrs.field(default=None, kw_only=True)
    poll_s: float = attrs.field(
        default=0.25, kw_only=True, validator=[attrs.validators.ge(0.01), attrs.validators.le(3_600)]
    )
    _name: str = attrs.field(default="", alias="name", kw_only=True)

    @property
    def actor(self) -> str:
        """Its name in the tree."""
        return self._name or f"json_lines:{Path(self.path).name}"

    @property
    def brings(self) -> tuple[type[Event], ...]:
        """The types that plain data is made to."""
        if self.event is None:
            return ()
        return (self.event,) if isinstance(self.event, type) else tuple(dict.fromkeys(self.event.values()))

    async def run(self, publish: Intake) -> None:
        """Publish line after line; returns at the end of a file that is not followed."""
        path = Path(self.path)
        kept_in = path.parent if self.kept_in is None else Path(self.kept_in)
        file = await trio.to_thread.run_sync(
            functools.partial(
                FollowedFile,
                path,
                kept_in / f"{path.name}.{publish.journal_id[:12]}.position",
                line_bytes_max=publish.payload_bytes_max + _ENVELOPE_BYTES_MAX,
                from_end=self.from_end,
            )
        )
        try:
            if file.last is not None and not await publish.knows(*file.last):
                publish.refused(f"the position in {path}", "this journal is older than it; reading from the beginning")
                await trio.to_thread.run_sync(file.begin_again)
            while True:
                lines = await trio.to_thread.run_sync(functools.partial(file.read, whole=not self.follow))
                if lines:
                    await self._take(publish, file, lines, kept_in / f"{path.name}.rejected")
                elif self.follow:
                    await trio.sleep(self.poll_s)
                else:
                    return
        finally:
            file.close()

    async def _take(self, publish: Intake, file: FollowedFile, lines: list[Line], rejected: Path) -> None:
        """Accept what can be, set aside what can't, and only then move the position."""
        wrong: list[tuple[Line, PublishRefused]] = []
        right: list[tuple[Line, Outside]] = []
        for line in lines:
            if line.text.strip():
                try:
                    right.append((line, self._outside(publish, line)))
                except PublishRefused as error:
                    wrong.append((line, error))
        answers = await publish_each(publish, [outside for _, outside in right])
        last: tuple[str, str] | None = None
        for (line, _), answer in zip(right, answers, strict=True):
            if answer.error is not None:
                wrong.append((line, answer.error))
            elif answer.source is not None and answer.id is not None:
                last = (answer.source, answer.id)
        for line, refusal in wrong:
            publish.refused(f"line {line.name} of {self.path}", refusal)
        await trio.to_thread.run_sync(_set_aside, rejected, wrong)
        await trio.to_thread.run_sync(file.accepted, lines[-1].end, last)

    def _outside(self, publish: Intake, line: Line) -> Outside:
        """The event of a line.

        Raises:
            PublishRefused: it holds none.
        """
        if line.too_long:
            size_max = publish.payload_bytes_max + _ENVELOPE_BYTES_MAX
            raise TooLarge("the line", size_max + 1, size_max, "intake.payload_bytes_max")
        text = line.text.removeprefix(_BOM)
        if self.event is None:
            return publish.decoded(parse(text))
        try:
            data = from_json(text)
        except ValueError as error:
            raise InvalidPayload(self.actor, f"it is no JSON ({error})") from None
        if not isinstance(data, dict):
            raise InvalidPayload(self.actor, "it is no JSON object")
        event = publish.made(self._type(data), data)
        named = self._named(data, line)
        return Outside(event, named, self.source or f"file:{Path(self.path).name}", data=data)

    def _type(self, data: dict[str, object]) -> type[Event]:
        """The type of plain data; takes its name out of the data."""
        assert self.event is not None, "without types lines are CloudEvents"
        if isinstance(self.event, type):
            return self.event
        found = data.pop(self.type_field, None)
        event = self.event.get(found) if isinstance(found, str) else None
        if event is None:
            known = ", ".join(self.event)
            raise InvalidPayload(self.actor, f"its {self.type_field} is {found!r:.60}, known are {known}")
        return event

    def _named(self, data: dict[str, object], line: Line) -> str:
        if self.id_field is None:
            return line.name
        found = data.get(self.id_field)
        if isinstance(found, bool) or not isinstance(found, str | int):
            raise InvalidPayload(self.actor, f"its {self.id_field} is {found!r:.60}, which names no fact")
        return str(found)


def _set_aside(rejected: Path, wrong: list[tuple[Line, PublishRefused]]) -> None:
    """Write refused lines with their reasons; after a crash one may stand there twice."""
    if not wrong:
        return
    with rejected.open("a", encoding="utf-8") as file:
        for line, error in wrong:
            text = line.text.decode("utf-8", "backslashreplace")
            file.write(json.dumps({"line": line.name, "error": str(error), "text": text}, ensure_ascii=False) + "\n")
        file.flush()
        os.fsync(file.fileno())
