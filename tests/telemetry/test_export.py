"""Traces as an OTLP receiver gets them, from a real daemon that is killed, and what a receiver can't spoil."""

from __future__ import annotations

import signal
import socket
import time
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler
from pathlib import Path

import pytest
import trio

from procession import Settings
from procession.telemetry_settings import TelemetrySettings
from tests.daemon.command import run, run_json, written
from tests.daemon.serving import Daemon, project, serving
from tests.ports import free_port
from tests.telemetry.orders import BELOW, FLOWS, ROOT, WHOLE, derived, faults, is_settled, placed
from tests.telemetry.receiver import answer_late, answer_without_end, receiving
from tests.telemetry.trips import Booked, travelling_to

pytestmark = pytest.mark.slow


def nobody() -> str:
    """An address where nobody listens, nor will."""
    return f"http://127.0.0.1:{free_port()}"


def shop(folder: Path) -> Path:
    project(folder)
    (folder / "errands.py").write_text(FLOWS)
    return folder


def told(endpoint: str) -> dict[str, str]:
    return {
        "PROCESSION_TELEMETRY__OTLP_ENDPOINT": endpoint,
        "PROCESSION_TELEMETRY__OTLP_INTERVAL_S": "0.05",
        "PROCESSION_TELEMETRY__TRACE_RATIO": "1",
    }


def place(daemon: Daemon) -> None:
    """Publish an order, and wait until its card is being charged."""
    events = written(daemon.folder / "events", [placed("421")])
    done = run("publish", events, "--no-wait", cwd=daemon.folder)
    assert done.returncode == 0, done.stderr.decode()
    while not (daemon.folder / "begun").exists():
        time.sleep(0.01)


def test_an_order_that_was_killed_and_recovered_in_the_middle_is_one_trace(tmp_path: Path) -> None:
    folder = shop(tmp_path)
    with receiving() as receiver:
        with serving(folder, told(receiver.endpoint)) as daemon:
            place(daemon)
            before = receiver.wait_for(lambda spans: any(span.name == "send cards" for span in spans))
            daemon.stop(signal.SIGKILL)
        with serving(folder, told(receiver.endpoint)) as daemon:
            receiver.wait_for(is_settled)
            assert daemon.stop() == 0
            (said,) = (line for line in daemon.logged if line["message"] == "charged at last")

    assert not is_settled(before)
    assert faults(receiver.spans) == []
    assert len(receiver.spans) == WHOLE
    assert {span.name for span in receiver.spans} == {ROOT, *BELOW}
    assert receiver.paths == {"/v1/traces"}
    (attempt,) = (span for span in receiver.spans if span.name == "attempt cards")
    assert (folder / "begun").read_text() == f"00-{attempt.trace_id}-{attempt.span_id}-01"
    assert (said["flow"], said["trace_id"], said["span_id"]) == ("order/421", attempt.trace_id, attempt.span_id)
    resource = attempt.resource
    assert (resource["service.name"], resource["host.name"]) == ("procession", socket.gethostname())
    assert len({span.resource["process.pid"] for span in receiver.spans}) == 2


def test_spans_that_died_with_their_process_are_named_by_those_that_follow(tmp_path: Path) -> None:
    folder = shop(tmp_path)
    with serving(folder, told(nobody())) as daemon:
        place(daemon)
        daemon.stop(signal.SIGKILL)
    with receiving() as receiver, serving(folder, told(receiver.endpoint)) as daemon:
        receiver.wait_for(is_settled)
        assert daemon.stop() == 0

    known = derived(folder / "procession.db")
    here = {span.span_id for span in receiver.spans}
    missing = [(span.name, known[span.parent]) for span in receiver.spans if span.parent not in here]
    assert missing == [("attempt cards", "send cards")]
    assert {span.trace_id for span in receiver.spans} == {(folder / "begun").read_text()[3:35]}
    assert [known[span.parent] for span in receiver.spans if known[span.parent] not in BELOW[span.name]] == []


@pytest.mark.parametrize(
    ("answer", "is_lost"),
    [(None, True), (answer_late, True), (answer_without_end, False)],
    ids=["dead", "late", "huge"],
)
async def test_a_receiver_that_is_no_good_costs_flows_nothing_and_the_end_two_seconds(
    tmp_path: Path, answer: Callable[[BaseHTTPRequestHandler], None] | None, is_lost: bool
) -> None:
    with receiving(answer) as receiver:
        endpoint = nobody() if answer is None else receiver.endpoint
        telemetry = TelemetrySettings(
            otlp_endpoint=endpoint, otlp_timeout_s=60, otlp_interval_s=0.05, spans_waiting_max=64, trace_ratio=1
        )
        async with travelling_to(tmp_path / "trips.db", Settings(telemetry=telemetry)) as runtime:
            with trio.fail_after(25):  # who waits for a late answer takes longer
                await runtime.publish([Booked(f"{number}") for number in range(100)])
                await runtime.drain()
            assert runtime.counters()["procession_flows_started"] == 200
            closed_at = time.monotonic()
        took_s = time.monotonic() - closed_at
    assert (runtime.counters()["procession_telemetry_dropped"] > 0) >= is_lost
    assert took_s < 20  # two of them for telemetry, and a machine that stalls; a late answer takes 30


def test_a_daemon_whose_receiver_is_dead_ends_in_order_and_says_so_once(tmp_path: Path) -> None:
    folder = shop(tmp_path)
    (folder / "begun").touch()
    with serving(folder, told(nobody())) as daemon:
        place(daemon)
        while not run_json("ls", "--status", "ended", cwd=folder)["flows"]:
            pass
        began = time.monotonic()
        assert daemon.stop() == 0
        assert time.monotonic() - began < 14
        said = [line for line in daemon.logged if line["logger"] == "procession.telemetry"]
    assert [line["level"] for line in said] == ["WARNING", "WARNING"]
    assert "are dropped until they are" in said[0]["message"]
    assert "19 spans in all were not delivered" in said[1]["message"]
    assert not [line for line in daemon.logged if line["logger"].startswith(("opentelemetry", "urllib3"))]
