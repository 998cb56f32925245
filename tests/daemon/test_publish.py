"""`procession publish`, on small logs with the properties of a real one."""

from __future__ import annotations

import contextlib
import gc
import gzip
import json
import signal
import sqlite3
import subprocess
import time
import warnings
from pathlib import Path
from typing import cast

import pytest
import trio
import trio.testing

from procession.daemon.local_client import Owner
from procession.daemon.publish_door import AskedDoor, Batch
from tests.daemon.command import CONFIG, arguments_of, environment, run_json, start_event, written
from tests.daemon.inside import json_inside, run_inside
from tests.flows.loan_log import LoanLog, loan_log

CONFIGURED = ("--config", CONFIG, "--journal", "a.db")


def figures_are_right(found: dict[str, object], log: LoanLog) -> None:
    journal = found["journal"]
    assert isinstance(journal, dict)
    assert journal["events"] == len(log.events)
    assert journal["outcomes"]["loan_application"] == {name: number for name, number in log.outcomes.items() if number}
    assert sum(journal["flows"]["loan_application"].values()) == log.flows
    assert journal["flows"]["loan_application"].get("active", 0) == log.still_open
    assert found["late"] == log.late


def test_a_whole_log_gives_its_figures_and_nothing_the_second_time(tmp_path: Path) -> None:
    log = loan_log(300)
    file = written(tmp_path / "log.jsonl", log.events)
    first = json_inside("publish", file, *CONFIGURED, cwd=tmp_path)
    assert (first["accepted"], first["duplicates"]) == (len(log.events), 0)
    figures_are_right(first, log)
    second = json_inside("publish", file, *CONFIGURED, cwd=tmp_path)
    assert (second["accepted"], second["duplicates"]) == (0, len(log.events))
    figures_are_right(second, log)


def test_gzip_is_known_by_its_first_bytes_and_the_summary_is_read_by_people(tmp_path: Path) -> None:
    log = loan_log(20)
    text = "".join(json.dumps(event) + "\n" for event in log.events)
    (tmp_path / "log.dat").write_bytes(gzip.compress(text.encode()))
    done = run_inside("publish", "log.dat", *CONFIGURED, cwd=tmp_path)
    assert done.code == 0
    rows = dict(line.split("\t", 1) for line in done.out.splitlines())
    assert rows["accepted"] == str(len(log.events))
    assert rows["late"] == str(log.late)
    assert "procession ls --journal a.db" in done.err


def test_standard_input_may_be_gzip_or_plain(tmp_path: Path) -> None:
    log = loan_log(20)
    text = "".join(json.dumps(event) + "\n" for event in log.events).encode()
    found = run_json("publish", "-", *CONFIGURED, cwd=tmp_path, stdin=gzip.compress(text))
    figures_are_right(found, log)
    assert run_json("publish", "-", *CONFIGURED, cwd=tmp_path, stdin=text)["duplicates"] == len(log.events)


def test_blank_lines_and_a_byte_order_mark_do_no_harm(tmp_path: Path) -> None:
    text = "\ufeff" + json.dumps(start_event(1)) + "\r\n\n  \n" + json.dumps(start_event(2))
    found = run_json("publish", "-", *CONFIGURED, cwd=tmp_path, stdin=text.encode())
    assert found["accepted"] == 2


WRONG = {
    "malformed": (b'{"specversion":', "no JSON"),
    "unknown type": (b'{"specversion":"1.0","id":"1","source":"s","type":"bpic2012.A_SUBMIT"}', "not known here"),
    "wrong fields": (json.dumps(start_event(2, amount_req=7)).encode(), "expected str, found int 7"),
    "extra field": (json.dumps(start_event(2, colour="red")).encode(), "colour"),
    "missing id": (json.dumps({**start_event(2), "id": ""}).encode(), "the id ''"),
    "a key with a NUL": (json.dumps(start_event(2, case_id="a\x00b")).encode(), "NUL"),
    "an empty key": (json.dumps(start_event(2, case_id="")).encode(), "is empty"),
    "a key too long": (json.dumps(start_event(2, case_id="k" * 600)).encode(), "600 bytes"),
    "no UTF-8": (b'{"specversion":"1.0\xff"}', "no UTF-8"),
    "10 MB": (json.dumps(start_event(2, reg_date="x" * 10_000_000)).encode(), "longer than"),
    "over the bound": (json.dumps(start_event(2, reg_date="x" * 1_060_000)).encode(), "payload_bytes_max"),
}


@pytest.mark.parametrize("name", WRONG)
def test_a_bad_line_is_named_and_nothing_is_written(name: str, tmp_path: Path) -> None:
    text, found = WRONG[name]
    (tmp_path / "bad.jsonl").write_bytes(json.dumps(start_event(1)).encode() + b"\n" + text + b"\n")
    done = run_inside("publish", "bad.jsonl", *CONFIGURED, cwd=tmp_path)
    said = done.err
    assert (done.code, done.out) == (2, "")
    assert said.startswith("procession: bad.jsonl:2: ")
    assert found in said
    assert said.endswith("; nothing was written\n")
    assert said.count("\n") == 1
    assert [file.name for file in tmp_path.iterdir()] == ["bad.jsonl"]


def test_a_gzip_that_was_cut_off_is_named_and_nothing_is_written(tmp_path: Path) -> None:
    text = "".join(json.dumps(start_event(number)) + "\n" for number in range(3000)).encode()
    (tmp_path / "cut.gz").write_bytes(gzip.compress(text)[:-400])
    done = run_inside("publish", "cut.gz", *CONFIGURED, cwd=tmp_path)
    assert done.code == 2
    assert "ends in the middle" in done.err
    assert [file.name for file in tmp_path.iterdir()] == ["cut.gz"]


def test_of_a_pipe_what_came_before_the_bad_line_stays(tmp_path: Path) -> None:
    text = "".join(json.dumps(start_event(number)) + "\n" for number in range(5)) + "{bad"
    found = run_json("publish", "-", *CONFIGURED, cwd=tmp_path, stdin=text.encode(), code=2)
    assert "standard input:6: " in found["error"]
    assert "5 other events were accepted" in found["error"]
    assert len(json_inside("ls", *CONFIGURED, cwd=tmp_path)["flows"]) == 5


def test_an_id_that_comes_again_with_other_content_is_named_with_its_line(tmp_path: Path) -> None:
    run_json("publish", "-", *CONFIGURED, cwd=tmp_path, stdin=json.dumps(start_event(1)).encode())
    file = written(tmp_path / "b.jsonl", [start_event(0), start_event(1, amount_req="900")])
    found = json_inside("publish", file, *CONFIGURED, cwd=tmp_path, code=4)
    assert f"{file}:2: event '1/0' of source 'test'" in found["error"]
    assert len(json_inside("ls", *CONFIGURED, cwd=tmp_path)["flows"]) == 1


def test_a_journal_of_a_newer_schema_is_refused_untouched(tmp_path: Path) -> None:
    file = written(tmp_path / "a.jsonl", [start_event(1)])
    json_inside("publish", file, *CONFIGURED, cwd=tmp_path)
    with contextlib.closing(sqlite3.connect(tmp_path / "a.db", isolation_level=None)) as journal:
        journal.execute("pragma user_version = 99")
    journal.close()
    before = (tmp_path / "a.db").read_bytes()
    for verb in (["publish", str(file)], ["ls"], ["show", "loan_application/1"]):
        assert "schema 99" in json_inside(*verb, *CONFIGURED, cwd=tmp_path, code=9)["error"]
    assert (tmp_path / "a.db").read_bytes() == before


def test_a_file_that_is_no_journal_is_refused_untouched(tmp_path: Path) -> None:
    file = written(tmp_path / "a.jsonl", [start_event(1)])
    (tmp_path / "a.db").write_bytes(b"some text, long enough to be taken for a header of a hundred bytes" * 4)
    before = (tmp_path / "a.db").read_bytes()
    for verb in (["publish", str(file)], ["ls"]):
        assert "no journal" in json_inside(*verb, *CONFIGURED, cwd=tmp_path, code=2)["error"]
    assert (tmp_path / "a.db").read_bytes() == before
    assert sorted(found.name for found in tmp_path.iterdir()) == ["a.db", "a.jsonl"]


def test_a_folder_that_refuses_writing_is_told(tmp_path: Path, unprivileged: None) -> None:
    file = written(tmp_path / "a.jsonl", [start_event(1)])
    (tmp_path / "locked").mkdir(mode=0o555)
    found = json_inside("publish", file, "--config", CONFIG, "--journal", "locked/a.db", cwd=tmp_path, code=5)
    assert "refuses writing" in found["error"]


def test_a_folder_that_is_not_there_is_told(tmp_path: Path) -> None:
    file = written(tmp_path / "a.jsonl", [start_event(1)])
    found = json_inside("publish", file, "--config", CONFIG, "--journal", "none/a.db", cwd=tmp_path, code=5)
    assert "there is no folder" in found["error"]


def started(tmp_path: Path, *arguments: str | Path) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        arguments_of(*arguments), cwd=tmp_path, env=environment(), stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )


def accepted_so_far(journal: Path) -> int:
    """Read beside the owner; a journal that is just being made is empty."""
    try:
        reading = sqlite3.connect(f"file:{journal}?mode=ro", uri=True)
    except sqlite3.OperationalError:
        return 0
    try:
        found = reading.execute("select count(*) from event").fetchone()[0]
    except sqlite3.OperationalError:
        return 0
    finally:
        reading.close()
    assert isinstance(found, int)
    return found


def wait_for_events(publishing: subprocess.Popen[bytes], journal: Path, number: int) -> None:
    deadline = time.monotonic() + 40
    while publishing.poll() is None and time.monotonic() < deadline and accepted_so_far(journal) < number:
        time.sleep(0.01)


@pytest.mark.slow
@pytest.mark.timeout(180)
def test_a_kill_and_another_publish_give_the_same_figures(tmp_path: Path) -> None:
    log = loan_log(400)
    file = written(tmp_path / "log.jsonl", log.events)
    killed = 0
    for number in (1, 1000, 2500):
        with started(tmp_path, "publish", file, *CONFIGURED) as publishing:
            wait_for_events(publishing, tmp_path / "a.db", number)
            publishing.kill()
            publishing.communicate()
            killed += publishing.returncode == -signal.SIGKILL
    assert killed >= 2
    last = json_inside("publish", file, *CONFIGURED, cwd=tmp_path)
    assert last["accepted"] + last["duplicates"] == len(log.events)
    figures_are_right(last, log)


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_ends_it_in_order_and_says_how_far_it_got(number: signal.Signals, code: int, tmp_path: Path) -> None:
    with subprocess.Popen(
        arguments_of("publish", "-", *CONFIGURED, "--json"),
        cwd=tmp_path,
        env=environment(),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as publishing:
        assert publishing.stdin is not None
        publishing.stdin.write(json.dumps(start_event(1)).encode() + b"\n")
        publishing.stdin.flush()
        wait_for_events(publishing, tmp_path / "a.db", 1)
        publishing.send_signal(number)
        assert publishing.wait(40) == code
        assert publishing.stdout is not None
        assert publishing.stderr is not None
        found = json.loads(publishing.stdout.read())
        assert b"which stay accepted" in publishing.stderr.read()
    assert (found["accepted"], found["stopped_by"]) == (1, number.name)


def test_an_owned_journal_is_refused_at_once_and_read_all_the_same(tmp_path: Path) -> None:
    file = written(tmp_path / "a.jsonl", [start_event(2)])
    with subprocess.Popen(
        arguments_of("publish", "-", *CONFIGURED),
        cwd=tmp_path,
        env=environment(),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as owner:
        assert owner.stdin is not None
        owner.stdin.write(json.dumps(start_event(1)).encode() + b"\n")
        owner.stdin.flush()
        wait_for_events(owner, tmp_path / "a.db", 1)
        refused = json_inside("publish", file, *CONFIGURED, cwd=tmp_path, code=8)
        act = json_inside("cancel", "loan_application/1", "--reason", "x", *CONFIGURED, cwd=tmp_path, code=8)
        listed = json_inside("ls", *CONFIGURED, cwd=tmp_path)
        shown = json_inside("show", "loan_application/1", *CONFIGURED, cwd=tmp_path)
        copied = json_inside("backup", "copy.db", *CONFIGURED, cwd=tmp_path)
        checked = json_inside("doctor", *CONFIGURED, cwd=tmp_path)
        owner.communicate()
    assert f"process {owner.pid}" in refused["error"]
    assert f"process {owner.pid}" in act["error"]
    assert [flow["flow"] for flow in listed["flows"]] == ["loan_application/1"]
    assert shown["timeline"][0]["step"]["handler"] == "submitted"
    assert copied["position"] >= 1
    assert any(check["name"] == "owner" and str(owner.pid) in check["found"] for check in checked["checks"])


def test_the_file_is_closed(tmp_path: Path) -> None:
    file = written(tmp_path / "events.jsonl", [start_event(1)])
    with warnings.catch_warnings(record=True) as found:
        warnings.simplefilter("always", ResourceWarning)
        assert run_inside("publish", file, "--config", CONFIG, "--journal", "a.db", cwd=tmp_path).code == 0
        gc.collect()
    assert [str(warning.message) for warning in found] == []


async def test_batches_that_go_to_the_owner_in_pieces_keep_their_order() -> None:
    got: list[str] = []

    class Slow:
        async def ask(self, what: str, events: list[str]) -> dict[str, int]:
            await trio.sleep(0.05)
            got.extend(events)
            return {"accepted": len(events), "duplicates": 0}

    door = AskedDoor(cast(Owner, Slow()))
    async with trio.open_nursery() as nursery:
        nursery.start_soon(door.publish, Batch(texts=[b"a" * 600_000, b"b" * 600_000]))
        await trio.testing.wait_all_tasks_blocked()
        nursery.start_soon(door.publish, Batch(texts=[b"c"]))
    assert [text[0] for text in got] == ["a", "b", "c"]
