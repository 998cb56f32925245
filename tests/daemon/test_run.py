"""`procession run`: a service that says where it stands, ends in order, and is asked over its socket."""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import signal
import socket
import sqlite3
import stat
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.daemon.command import ROOT, arguments_of, environment, run, run_json, written
from tests.daemon.serving import Daemon, asked, configure, project, serving

pytestmark = pytest.mark.timeout(180)  # each test starts many processes


@pytest.fixture(scope="module")
def daemon(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Daemon]:
    """One that serves all tests that only ask it."""
    with serving(project(tmp_path_factory.mktemp("served"))) as running:
        yield running


def ask(daemon: Daemon, line: bytes) -> dict[str, object]:
    """Send one line to its socket, as no verb would."""
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(30)
        connection.connect(daemon.lock["address"])
        connection.sendall(line)
        found: dict[str, object] = json.loads(connection.makefile().readline())
        return found


def publish(daemon: Daemon, *errands: str, code: int = 0, wait: bool = True) -> dict[str, object]:
    file = written(daemon.folder / f"{errands[0]}.jsonl", [asked(errand) for errand in errands])
    return run_json("publish", file, *(() if wait else ("--no-wait",)), cwd=daemon.folder, code=code)


def test_it_tells_its_manager_when_it_is_ready_and_ends_in_order_at_sigterm(tmp_path: Path) -> None:
    with serving(project(tmp_path)) as daemon:
        address = Path(daemon.lock["address"])
        assert daemon.told[-1][1]["MAINPID"] == str(daemon.process.pid)
        assert stat.S_IMODE(address.stat().st_mode) == 0o600
        publish(daemon, "milk")
        assert daemon.stop() == 0
        daemon.listen("STOPPING")
        assert not address.exists()
        assert [record["message"] for record in daemon.logged][-1] == "closed in order"
    flows = run_json("ls", cwd=tmp_path)["flows"]
    assert [(flow["flow"], flow["status"]) for flow in flows] == [("errand/milk", "ended")]


def test_what_publish_says_beside_an_owner_is_what_it_says_without_one(daemon: Daemon) -> None:
    first = publish(daemon, "bread", "salt")
    again = publish(daemon, "bread", "salt")
    assert (first["accepted"], first["duplicates"], again["accepted"], again["duplicates"]) == (2, 0, 0, 2)
    assert publish(daemon, "bread")["events_read"] == 1


def test_a_line_that_the_owner_refuses_is_named(daemon: Daemon) -> None:
    publish(daemon, "eggs")
    reused = {**asked("eggs"), "data": {"errand": "other eggs"}}
    file = written(daemon.folder / "reused.jsonl", [asked("flour"), reused])
    refused = run_json("publish", file, cwd=daemon.folder, code=4)
    assert "reused.jsonl:2: " in refused["error"]


def test_an_act_is_done_by_the_owner_and_told_as_by_the_verb_itself(daemon: Daemon) -> None:
    publish(daemon, "endless walk", wait=False)
    act = ("--reason", "it rains", "--by", "ann")
    done = run_json("cancel", "errand/endless walk", *act, "--force", cwd=daemon.folder)
    assert (done["status_before"], done["status"], done["by"]) == ("active", "cancelled", "ann")
    refused = run_json("retry", "errand/endless walk", *act, cwd=daemon.folder, code=4)
    assert refused["kind"] == "ActRefused"
    assert run_json("skip", "errand/unheard of", *act, cwd=daemon.folder, code=3)["kind"] == "NotFound"


def test_a_paused_gateway_begins_nothing_until_it_is_resumed(daemon: Daemon) -> None:
    act = ("--reason", "road works", "--by", "ann")
    run_json("pause", "legs", *act, cwd=daemon.folder)
    publish(daemon, "cheese", wait=False)
    state = run_json("top", cwd=daemon.folder)["gateways"][0]
    assert (state["paused"], state["held_back"], state["running"]) == (True, "paused", 0)
    run_json("resume", "legs", *act, cwd=daemon.folder)
    assert publish(daemon, "cheese")["journal"]["commands"].get("open") is None  # type: ignore[index]  # it is JSON
    assert run_json("pause", "wings", *act, cwd=daemon.folder, code=3)["kind"] == "NotFound"


def test_top_shows_rates_gateways_and_the_tree(daemon: Daemon) -> None:
    shown = run("top", cwd=daemon.folder).stdout.decode()
    assert "gateway legs  breaker closed" in shown
    assert "journal writer  running" in shown
    assert run_json("top", cwd=daemon.folder)["pid"] == daemon.process.pid


def test_archive_is_done_by_the_owner_but_compacting_is_refused(daemon: Daemon) -> None:
    publish(daemon, "old news")
    done = run_json("archive", "--older-than", "0s", "--by", "ann", "--reason", "autumn", cwd=daemon.folder)
    assert done["flows"] >= 1
    refused = run_json("archive", "--older-than", "0s", "--compact", cwd=daemon.folder, code=2)
    assert f"process {daemon.process.pid} owns it" in refused["error"]


@pytest.mark.parametrize(
    ("line", "said"),
    [
        (b"{}\n", "speaks protocol 1"),
        (b"[]\n", "speaks protocol 1"),
        (b"no json\n", "can't be read"),
        (b'{"protocol": 1, "do": "dance"}\n', "'dance' can't be asked"),
        (b'{"protocol": 1, "do": "pause"}\n', "came without `name`"),
        (b'{"protocol": 1, "do": "act", "act": "hug"}\n', "came without `process`"),
        (b'{"protocol": 1, "do": "publish", "events": ["{}"]}\n', "has no specversion"),
    ],
)
def test_what_no_verb_would_send_is_refused_in_one_sentence(daemon: Daemon, line: bytes, said: str) -> None:
    refused = ask(daemon, line)
    assert said in str(refused["error"])
    assert "Traceback" not in str(refused)


def test_a_verb_that_leaves_early_leaves_the_owner_well(daemon: Daemon) -> None:
    publish(daemon, "endless queue", wait=False)
    with socket.socket(socket.AF_UNIX) as connection:
        connection.connect(daemon.lock["address"])
        connection.sendall(b'{"protocol": 1, "do": "drain"}\n')
    with socket.socket(socket.AF_UNIX) as connection:
        connection.connect(daemon.lock["address"])
        connection.sendall(b'{"protocol": 1, "do": ')
    assert run_json("top", cwd=daemon.folder)["held"] == ""
    run("cancel", "errand/endless queue", "--reason", "enough", "--force", cwd=daemon.folder)


def test_a_second_daemon_is_refused_and_names_the_first(daemon: Daemon) -> None:
    refused = run("run", cwd=daemon.folder)
    assert refused.returncode == 8
    assert f"process {daemon.process.pid}".encode() in refused.stderr


def test_verbs_for_an_owner_say_so_where_there_is_none(tmp_path: Path) -> None:
    project(tmp_path)
    written(tmp_path / "one.jsonl", [asked("milk")])
    run("publish", "one.jsonl", cwd=tmp_path)
    assert run_json("top", cwd=tmp_path, code=5)["kind"] == "NoOwner"
    assert run_json("pause", "legs", "--reason", "x", cwd=tmp_path, code=5)["kind"] == "NoOwner"


def test_what_was_paused_is_paused_after_a_kill(tmp_path: Path) -> None:
    folder = project(tmp_path)
    with serving(folder) as daemon:
        run_json("pause", "legs", "--reason", "road works", "--by", "ann", cwd=folder)
        daemon.process.kill()
    with serving(folder) as daemon:
        publish(daemon, "cheese", wait=False)
        state = run_json("top", cwd=folder)["gateways"][0]
        assert (state["paused"], state["held_back"], state["running"]) == (True, "paused", 0)
        run_json("resume", "legs", "--reason", "done", "--by", "ann", cwd=folder)
        assert publish(daemon, "cheese")["journal"]["commands"].get("open") is None  # type: ignore[index]  # it is JSON


def test_a_daemon_that_was_killed_starts_again_over_what_it_left(tmp_path: Path) -> None:
    with serving(project(tmp_path, "[shutdown]\ngrace_s = 0\n")) as daemon:
        publish(daemon, "endless walk", wait=False)
        daemon.process.kill()
        daemon.process.wait()
    with serving(tmp_path) as daemon:
        assert run_json("top", cwd=tmp_path)["pid"] == daemon.process.pid
        assert daemon.stop() == 0


def test_a_second_signal_does_not_wait_for_the_grace(tmp_path: Path) -> None:
    with serving(project(tmp_path, "[shutdown]\ngrace_s = 40\n")) as daemon:
        publish(daemon, "endless walk", wait=False)
        daemon.process.send_signal(signal.SIGTERM)
        daemon.listen("STOPPING")
        assert daemon.stop() == 130


def test_sighup_changes_what_can_be_changed_and_names_what_can_not(tmp_path: Path) -> None:
    with serving(project(tmp_path)) as daemon:
        configure(tmp_path, "[gateways.legs]\nconcurrency = 3\n[intake]\nevents_max = 500\n[log]\nlevel = 'INFO'\n")
        daemon.process.send_signal(signal.SIGHUP)
        daemon.listen("RELOADING")
        daemon.listen("READY")
        assert run_json("top", cwd=tmp_path)["gateways"][0]["concurrency"] == 3
        with contextlib.closing(sqlite3.connect(f"file:{tmp_path / 'procession.db'}?mode=ro", uri=True)) as journal:
            (act,) = journal.execute("select payload from event where type = 'procession.gateway_limited'").fetchall()
        assert json.loads(act[0])["changed"] == ["concurrency=3"]
        assert json.loads(act[0])["by"] == "configuration"
        configure(tmp_path, "[gateways.wings]\nconcurrency = 3\n")
        daemon.process.send_signal(signal.SIGHUP)
        daemon.listen("RELOADING")
        daemon.listen("READY")
        said = [record["message"] for record in daemon.logged if "reloaded" in record["message"]]
        assert said[0] == "reloaded; in force: gateways.legs.concurrency; a new start is needed for intake.events_max"
        assert "gateways.wings: is the name of no gateway" in said[1]
        assert run_json("top", cwd=tmp_path)["gateways"][0]["concurrency"] == 3
        assert daemon.stop(signal.SIGINT) == 0


def test_the_watchdog_hears_from_the_loop_and_not_from_one_that_hangs(tmp_path: Path) -> None:
    with serving(project(tmp_path), {"WATCHDOG_USEC": "600000"}) as daemon:
        publish(daemon, "blocking errand")
        done_at = time.monotonic()
        while daemon.told[-1][0] < done_at:
            daemon.listen("WATCHDOG")
        heard = [at for at, fields in daemon.told if "WATCHDOG" in fields]
        assert max(after - before for before, after in itertools.pairwise(heard)) > 0.6, "a manager would restart it"


def test_a_watchdog_that_is_meant_for_another_process_is_left_alone(tmp_path: Path) -> None:
    with serving(project(tmp_path), {"WATCHDOG_USEC": "100000", "WATCHDOG_PID": "1"}) as daemon:
        began = time.monotonic()
        daemon.listen("STATUS")
        assert not any("WATCHDOG" in fields for _, fields in daemon.told)
        assert time.monotonic() - began < 30


def test_a_journal_whose_path_is_too_long_for_a_socket_has_one_elsewhere(tmp_path: Path) -> None:
    folder = tmp_path / ("long" * 25)
    folder.mkdir()
    place = Path(tempfile.mkdtemp(prefix="procession-"))
    with serving(project(folder), {"XDG_RUNTIME_DIR": str(place)}) as daemon:
        assert Path(daemon.lock["address"]).parent == place
        assert run_json("top", cwd=folder)["pid"] == daemon.process.pid


@pytest.mark.needs("systemd-analyze", "apt-get install systemd")
def test_the_unit_file_is_good_and_hardened(tmp_path: Path) -> None:
    unit = (ROOT / "config" / "procession.service").read_text()
    (tmp_path / "procession.service").write_text(unit.replace("/opt/procession/bin/procession", "/bin/true"))
    for arguments in (("verify",), ("security", "--offline=true", "--threshold=20")):
        command = ["systemd-analyze", *arguments, str(tmp_path / "procession.service")]
        done = subprocess.run(command, capture_output=True, check=False)
        assert done.returncode == 0, done.stderr


@pytest.mark.needs("systemd-tmpfiles", "apt-get install systemd")
def test_the_folders_file_makes_the_folders_for_their_user_alone(tmp_path: Path) -> None:
    (tmp_path / "etc").mkdir()
    (tmp_path / "etc" / "passwd").write_text(f"procession:x:{os.getuid()}:{os.getgid()}::/:/bin/false\n")
    (tmp_path / "etc" / "group").write_text(f"procession:x:{os.getgid()}:\n")
    command = ["systemd-tmpfiles", "--create", f"--root={tmp_path}", str(ROOT / "config" / "procession.tmpfiles")]
    done = subprocess.run(command, capture_output=True, check=False)
    assert done.returncode == 0, done.stderr
    made = [tmp_path / "var" / "lib" / "procession", tmp_path / "run" / "procession"]
    assert [stat.S_IMODE(folder.stat().st_mode) for folder in made] == [0o700, 0o700]


def test_an_owner_that_was_killed_is_gone_and_nobody_is_told_to_stop_it(tmp_path: Path) -> None:
    with (
        serving(project(tmp_path)) as daemon,
        subprocess.Popen(
            arguments_of("publish", "-", "--json"),
            cwd=tmp_path,
            env=environment(),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        ) as publishing,
    ):
        assert publishing.stdin is not None
        assert publishing.stdout is not None
        publishing.stdin.write(json.dumps(asked("milk")).encode() + b"\n")
        publishing.stdin.flush()
        give_up_at = time.monotonic() + 40
        while not run_json("ls", cwd=tmp_path)["flows"]:
            assert time.monotonic() < give_up_at
        daemon.process.kill()
        daemon.process.wait()
        publishing.stdin.write(json.dumps(asked("bread")).encode() + b"\n")
        publishing.stdin.close()
        said = json.loads(publishing.stdout.read())
        assert publishing.wait(40) == 5, said
    assert said["kind"] == "OwnerGone"


def test_a_journal_that_can_not_be_read_right_after_the_start_ends_no_daemon(tmp_path: Path) -> None:
    folder = project(tmp_path)
    flows = (folder / "errands.py").read_text()
    (folder / "errands.py").write_text(flows + BROKEN_READ)
    with serving(folder) as daemon:
        publish(daemon, "milk")
        assert daemon.stop() == 0
    assert "whether flows are in quarantine can't be read now" in (folder / "stderr").read_text()


BROKEN_READ = """

from procession.daemon.snapshot import Snapshots
from procession.journal_errors import CommitFailed


async def held(self):
    raise CommitFailed("the journal is not reopened yet")


Snapshots.anything_quarantined = held
"""
