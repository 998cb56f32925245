"""A followed file: each line counts once, whatever becomes of the file, the runtime and the lines before it."""

from __future__ import annotations

import json
import os
import shutil
from collections import Counter
from pathlib import Path

import pytest
import trio

from procession import JsonLines, Settings
from procession.injectors.position_file import PositionUnreadable, read_mark
from procession.settings import IntakeSettings
from tests.injectors.door import (
    QUICK,
    DoorClosed,
    DoorOpened,
    injectors_of,
    open_doors,
    opened,
    until_accepted,
    until_ended,
)


def doors(path: Path, *names: str) -> None:
    """Append a line for each door."""
    with path.open("a") as file:
        file.writelines(f'{{"door": "{name}"}}\n' for name in names)


def cloud_events(path: Path, *names: str) -> None:
    with path.open("a") as file:
        for name in names:
            event = {"specversion": "1.0", "id": name, "source": "shop", "type": "door.opened", "data": {"door": name}}
            file.write(json.dumps(event) + "\n")


def following(path: Path, **more: object) -> JsonLines:
    return JsonLines(path, event=DoorOpened, poll_s=0.01, **more)  # type: ignore[arg-type] # options by name


def reading(path: Path) -> JsonLines:
    return JsonLines(path, event=DoorOpened, follow=False, poll_s=0.01)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "doors.jsonl"


async def test_lines_are_accepted_as_they_are_written(tmp_path: Path, path: Path) -> None:
    async with open_doors(tmp_path, following(path)) as runtime:
        doors(path, "a", "b")  # it was missing until now
        await until_accepted(runtime, 2)
        doors(path, "a")
        await until_accepted(runtime, 3)
        assert await opened(runtime) == Counter(a=2, b=1)


async def test_a_line_is_taken_when_it_is_whole(tmp_path: Path, path: Path) -> None:
    async with open_doors(tmp_path, following(path)) as runtime:
        with path.open("a") as file:
            file.write('{"door": "a"}\n{"door": ')
            file.flush()
            await until_accepted(runtime, 1)
            await trio.sleep(0.05)
            file.write('"b"}\n')
        await until_accepted(runtime, 2)
        assert await opened(runtime) == Counter(a=1, b=1)
        assert runtime.counters()["procession_facts_refused"] == 0


async def test_a_file_that_is_not_followed_is_read_to_its_end_with_its_last_line(tmp_path: Path, path: Path) -> None:
    path.write_text('{"door": "a"}\n\n{"door": "b"}')
    assert await until_ended(tmp_path, reading(path)) == Counter(a=1, b=1)


async def test_a_restart_goes_on_where_it_was(tmp_path: Path, path: Path) -> None:
    doors(path, "a", "b")
    await until_ended(tmp_path, reading(path))
    doors(path, "a", "c")
    assert await until_ended(tmp_path, reading(path)) == Counter(a=2, b=1, c=1)


async def test_without_its_position_a_file_is_read_again_and_nothing_counts_twice(tmp_path: Path, path: Path) -> None:
    doors(path, "a", "b", "a")
    await until_ended(tmp_path, reading(path))
    (position,) = tmp_path.glob("*.position")
    position.unlink()
    assert await until_ended(tmp_path, reading(path)) == Counter(a=2, b=1)


async def test_a_position_that_is_ahead_of_its_journal_is_not_believed(tmp_path: Path, path: Path) -> None:
    doors(path, "a")
    await until_ended(tmp_path, reading(path))
    shutil.copy(tmp_path / "doors.db", tmp_path / "backup.db")
    doors(path, "b")
    await until_ended(tmp_path, reading(path))
    for name in ("doors.db-wal", "doors.db-shm"):
        (tmp_path / name).unlink(missing_ok=True)
    shutil.copy(tmp_path / "backup.db", tmp_path / "doors.db")
    assert await until_ended(tmp_path, reading(path)) == Counter(a=1, b=1)


async def test_two_journals_are_fed_from_one_file(tmp_path: Path, path: Path) -> None:
    doors(path, "a", "b")
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        assert await until_ended(tmp_path / name, reading(path)) == Counter(a=1, b=1)


# Rotation.


async def test_a_rotated_file_is_read_to_its_end_and_then_the_next(tmp_path: Path, path: Path) -> None:
    async with open_doors(tmp_path, following(path)) as runtime:
        doors(path, "a")
        await until_accepted(runtime, 1)
        with path.open("a") as late:
            path.rename(tmp_path / "doors.jsonl.1")
            late.write('{"door": "late"}\n')
            late.flush()
            doors(path, "b")
            late.write('{"door": "later"}\n')
        await until_accepted(runtime, 4)
        assert await opened(runtime) == Counter(a=1, late=1, later=1, b=1)


async def test_what_stands_in_a_rotated_file_without_a_newline_is_a_line(tmp_path: Path, path: Path) -> None:
    async with open_doors(tmp_path, following(path)) as runtime:
        path.write_text('{"door": "a"}\n{"door": "b"}')
        await until_accepted(runtime, 1)
        path.rename(tmp_path / "doors.jsonl.1")
        doors(path, "c")
        await until_accepted(runtime, 3)
        assert await opened(runtime) == Counter(a=1, b=1, c=1)


async def test_files_that_were_rotated_while_nothing_ran_are_read_in_order(tmp_path: Path, path: Path) -> None:
    doors(path, "a", "b")
    await until_ended(tmp_path, reading(path))
    doors(path, "c")
    path.rename(tmp_path / "doors.jsonl.2")
    doors(path, "a")
    path.rename(tmp_path / "doors.jsonl.1")
    doors(path, "a", "d")
    for age, name in enumerate(("doors.jsonl.2", "doors.jsonl.1", "doors.jsonl")):
        os.utime(tmp_path / name, ns=(1_700_000_000_000_000_000 + age,) * 2)
    assert await until_ended(tmp_path, reading(path)) == Counter(a=3, b=1, c=1, d=1)


@pytest.mark.parametrize("name", ["doors-20261125.jsonl", "doors.1.jsonl", "doors.jsonl.2026-11-25_18-00", "elsewhere"])
async def test_a_rotated_file_is_found_by_whatever_name_it_has_now(tmp_path: Path, path: Path, name: str) -> None:
    doors(path, "a")
    await until_ended(tmp_path, reading(path))
    doors(path, "b")
    path.rename(tmp_path / name.replace("elsewhere", "doors.old"))
    doors(path, "c")
    assert await until_ended(tmp_path, reading(path)) == Counter(a=1, b=1, c=1)


async def test_a_rotated_file_that_is_gone_is_said_aloud(
    tmp_path: Path, path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    doors(path, "a", "b")
    await until_ended(tmp_path, reading(path))
    path.rename(tmp_path / "moved")
    doors(path, "c")
    assert await until_ended(tmp_path, reading(path)) == Counter(a=1, b=1, c=1)
    assert "holds another file than before, and the former one" in caplog.text


async def test_a_file_that_is_cut_short_begins_anew(tmp_path: Path, path: Path) -> None:
    async with open_doors(tmp_path, following(path)) as runtime:
        doors(path, "a", "b")
        await until_accepted(runtime, 2)
        os.truncate(path, 0)
        doors(path, "a")  # the same line at the same place is another fact
        await until_accepted(runtime, 3)
        assert await opened(runtime) == Counter(a=2, b=1)


async def test_a_file_that_was_cut_and_has_grown_past_the_position_is_noticed(tmp_path: Path, path: Path) -> None:
    doors(path, "a")
    await until_ended(tmp_path, reading(path))
    os.truncate(path, 0)
    doors(path, "x", "y", "z")
    assert await until_ended(tmp_path, reading(path)) == Counter(a=1, x=1, y=1, z=1)


async def test_the_rest_of_a_file_that_was_copied_and_cut_is_read_from_the_copy(tmp_path: Path, path: Path) -> None:
    doors(path, "a")
    await until_ended(tmp_path, reading(path))
    doors(path, "b")
    shutil.copy(path, tmp_path / "doors.jsonl.1")
    os.truncate(path, 0)
    doors(path, "c")
    assert await until_ended(tmp_path, reading(path)) == Counter(a=1, b=1, c=1)


async def test_a_position_kept_before_a_kill_between_rotation_and_lines_gives_the_same_ids(
    tmp_path: Path, path: Path
) -> None:
    doors(path, "a")
    await until_ended(tmp_path, reading(path))
    path.rename(tmp_path / "doors.jsonl.1")
    doors(path, "b")
    (position,) = tmp_path.glob("*.position")
    before = position.read_bytes()
    await until_ended(tmp_path, reading(path))
    position.write_bytes(before)  # as if it had been killed before the position moved
    assert await until_ended(tmp_path, reading(path)) == Counter(a=1, b=1)


# Lines that can't be accepted.


async def test_a_line_that_is_none_is_set_aside_and_stops_nothing(tmp_path: Path, path: Path) -> None:
    doors(path, "a")
    with path.open("ab") as file:
        file.write(b'no json\n[1]\n{"dor": "x"}\n\xff\n' + b'{"door": "' + b"x" * 200_000 + b'"}\n{"door": ""}\n')
    doors(path, "b")
    settings = Settings(intake=IntakeSettings(payload_bytes_max=1_024), supervision=QUICK.supervision)
    async with open_doors(tmp_path, following(path), settings=settings) as runtime:
        await until_accepted(runtime, 2)
        with trio.fail_after(30):  # what is refused is counted after what is accepted
            while runtime.counters()["procession_facts_refused"] < 6:  # noqa: ASYNC110 - nobody tells
                await trio.sleep(0.01)
        assert await opened(runtime) == Counter(a=1, b=1)
        assert runtime.counters()["procession_facts_refused"] == 6
        assert injectors_of(runtime)["json_lines:doors.jsonl"].detail.startswith("6 refused, the last: line 1.")
    rejected = [json.loads(line) for line in (tmp_path / "doors.jsonl.rejected").read_text().splitlines()]
    assert [one["text"][:20] for one in rejected] == [
        "no json",
        "[1]",
        '{"dor": "x"}',
        "\\xff",
        '{"door": "xxxxxxxxxx',
        '{"door": ""}',
    ]
    assert "it is no JSON object" in rejected[1]["error"]
    assert "keys are strings of 1 to 512 bytes" in rejected[5]["error"]


async def test_a_line_longer_than_may_be_held_is_left_out_also_where_it_comes_in_pieces(
    tmp_path: Path, path: Path
) -> None:
    settings = Settings(intake=IntakeSettings(payload_bytes_max=1_024), supervision=QUICK.supervision)
    async with open_doors(tmp_path, following(path), settings=settings) as runtime:
        with path.open("a") as file:
            file.write('{"door": "')
            for _ in range(5):
                file.write("x" * 50_000)
                file.flush()
                await trio.sleep(0.02)
            file.write('"}\n{"door": "a"}\n')
        await until_accepted(runtime, 1)
        assert runtime.counters()["procession_facts_refused"] == 1


# What lines hold.


async def test_cloud_events_keep_their_ids_over_every_file_that_holds_them(tmp_path: Path, path: Path) -> None:
    cloud_events(path, "a", "b")
    other = tmp_path / "again.jsonl"
    cloud_events(other, "b", "c")
    files = [JsonLines(path, follow=False), JsonLines(other, follow=False)]
    assert await until_ended(tmp_path, *files) == Counter(a=1, b=1, c=1)


async def test_a_cloud_event_with_an_id_that_was_used_for_another_is_set_aside(tmp_path: Path, path: Path) -> None:
    cloud_events(path, "a")
    with path.open("a") as file:
        file.write(path.read_text().replace('"door": "a"', '"door": "x"'))
    cloud_events(path, "b")
    assert await until_ended(tmp_path, JsonLines(path, follow=False)) == Counter(a=1, b=1)
    assert "give it its own id" in (tmp_path / "doors.jsonl.rejected").read_text()


async def test_plain_data_tells_its_type_and_its_id_by_fields(tmp_path: Path, path: Path) -> None:
    lines = [
        {"kind": "opened", "door": "a", "who": "1"},
        {"kind": "opened", "door": "a", "who": "1"},
        {"kind": "closed", "door": "a", "who": "2"},
        {"kind": "closed", "door": "b"},
        {"kind": "broken", "door": "a", "who": "3"},
    ]
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    types = {"opened": DoorOpened, "closed": DoorClosed}
    injector = JsonLines(path, event=types, type_field="kind", id_field="who", follow=False, name="kinds")
    assert await until_ended(tmp_path, injector) == Counter(a=1)
    rejected = (tmp_path / "doors.jsonl.rejected").read_text()
    assert "its kind is 'broken', known are opened, closed" in rejected
    assert "its who is None, which names no fact" in rejected


async def test_only_what_is_new_is_read_where_it_is_asked_for(tmp_path: Path, path: Path) -> None:
    doors(path, "old")
    await until_ended(tmp_path, JsonLines(path, event=DoorOpened, from_end=True, follow=False))
    async with open_doors(tmp_path, following(path, from_end=True)) as runtime:
        doors(path, "new")
        await until_accepted(runtime, 1)
        assert await opened(runtime) == Counter(new=1)


async def test_position_and_rejected_lines_are_kept_where_it_is_told(tmp_path: Path, path: Path) -> None:
    (tmp_path / "kept").mkdir()
    path.write_text("no json\n")
    await until_ended(tmp_path, JsonLines(path, event=DoorOpened, follow=False, kept_in=tmp_path / "kept"))
    names = sorted(found.name for found in (tmp_path / "kept").iterdir())
    assert [name.rpartition(".")[2] for name in names] == ["position", "rejected"]


@pytest.mark.parametrize("text", ["", "{}", "[]", '{"version": 1}', '{"version": 2, "generation": 1}'])
def test_a_position_that_is_none_is_refused_with_its_cure(tmp_path: Path, text: str) -> None:
    (tmp_path / "position").write_text(text)
    with pytest.raises(PositionUnreadable, match=r"holds no position \(.*\); delete it to read from the beginning"):
        read_mark(tmp_path / "position")
