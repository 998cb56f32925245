"""What Prometheus scrapes: names, labels and media, and how much of it there may be."""

from __future__ import annotations

import shutil
import subprocess

import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families as as_open_metrics
from prometheus_client.parser import text_string_to_metric_families

from procession import open_runtime
from procession.daemon.http.metrics import exposition
from procession.journal.memory import MemoryJournal
from procession.telemetry.names import METRICS
from procession.testing.faults import FaultyJournal
from tests.daemon.http.served import ParcelOpened, ParcelSent, served
from tests.fixtures.many import GATEWAYS, OUTCOMES, PROCESSES, Wanted, many

SERIES_MAX = 2_000
OPEN_METRICS = "application/openmetrics-text; version=1.0.0"


def series(text: str) -> dict[tuple[str, frozenset[tuple[str, str]]], float]:
    return {
        (sample.name, frozenset(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def stands(text: str, name: str, **labels: str) -> float:
    return series(text)[f"procession_{name}", frozenset(labels.items())]


async def test_what_happened_is_counted_and_timed_by_process_and_gateway() -> None:
    async with served() as http:
        await http.runtime.publish(ParcelSent("p1"), id="1")
        await http.runtime.publish(ParcelSent("p1"), id="1")
        await http.runtime.drain()
        await http.runtime.publish(ParcelSent("p2"), id="2")
        await http.runtime.publish(ParcelOpened("p2"), id="3")
        await http.runtime.drain()
        text = (await http.client.get("/metrics")).text
    assert stands(text, "events_published_total", outcome="accepted") == 3
    assert stands(text, "events_published_total", outcome="duplicate") == 1
    assert stands(text, "event_accept_duration_seconds_count") == 4
    assert stands(text, "flows_started_total", process="parcel") == 2
    assert stands(text, "flows_ended_total", process="parcel", outcome="completed") >= 1
    assert stands(text, "flow_duration_seconds_count", process="parcel") >= 1
    assert stands(text, "commands_ended_total", gateway="carriers", outcome="answered") == 2
    assert stands(text, "command_duration_seconds_count", gateway="carriers") == 2
    assert stands(text, "attempts_ended_total", gateway="carriers", outcome="answered") == 2
    assert stands(text, "attempt_duration_seconds_bucket", gateway="carriers", le="+Inf") == 2
    assert stands(text, "event_wait_seconds_count", process="parcel") >= 4
    assert stands(text, "turn_duration_seconds_count", process="parcel") == stands(
        text, "turns_total", outcome="handled"
    )
    commits = stands(text, "commits_total", outcome="done")
    assert stands(text, "commit_rows_count") == commits >= stands(text, "commit_duration_seconds_count") > 0
    assert stands(text, "commands_pending", gateway="carriers") == 0
    assert stands(text, "gateway_up", gateway="carriers") == 1
    assert stands(text, "recovery_duration_seconds_count") == 1


async def test_every_name_and_label_is_one_of_the_table() -> None:
    async with served() as http:
        await http.runtime.publish(ParcelSent("secret-parcel"))
        await http.runtime.drain()
        response = await http.client.get("/metrics")
        assert "secret-parcel" not in response.text
        assert response.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"
        # Neither a journal in a file is here, nor a large message.
        unseen = {"procession_journal_size_bytes", "procession_journal_disk_bytes", "procession_payloads_large"}
        known = {metric.in_prometheus.removesuffix("_total"): metric for metric in METRICS}
        found = {family.name: family for family in text_string_to_metric_families(response.text)}
        ours = {name: family for name, family in found.items() if name.startswith("procession_")}
        assert ours.keys() == known.keys() - unseen
        assert found.keys() > {"process_open_fds", "process_resident_memory_bytes", "process_cpu_seconds"}
        for name, family in ours.items():
            assert (family.documentation, family.type) == (known[name].about, known[name].kind)
            assert {frozenset(sample.labels) - {"le"} for sample in family.samples} == {frozenset(known[name].labels)}


async def test_whoever_asks_for_open_metrics_gets_it() -> None:
    async with served() as http:
        response = await http.client.get("/metrics", headers={"accept": OPEN_METRICS})
        assert response.headers["content-type"].startswith(OPEN_METRICS)
        names = {family.name for family in as_open_metrics(response.text)}  # type: ignore[no-untyped-call]  # it has no types
        assert {"procession_turns", "procession_event_wait_seconds"} <= names


async def test_a_journal_that_is_held_is_told_and_has_no_gauges() -> None:
    journal = FaultyJournal()
    async with served(journal) as http:
        journal.count_anew({1: "fail"})
        journal.reopens_failing = 1_000_000
        with pytest.raises(Exception, match="on fire"):
            await http.runtime.publish(ParcelSent("p1"))
        text = (await http.client.get("/metrics")).text
        assert stands(text, "held") == 1
        assert stands(text, "commits_total", outcome="failed") == 1
        journal.reopens_failing = 0


async def test_twenty_processes_and_ten_gateways_have_less_than_two_thousand_series_and_no_key_in_one() -> None:
    processes, gateways = many()
    async with open_runtime(MemoryJournal(), processes=processes, gateways=gateways) as runtime:
        await runtime.publish([Wanted(f"key-{outcome}", outcome) for outcome in OUTCOMES])
        await runtime.drain()
        text = exposition(await runtime.metrics(), "")[0].decode()
    found = series(text)
    assert len(found) <= SERIES_MAX
    values = {labels: value for (name, labels), value in found.items() if name == "procession_flows_ended_total"}
    assert sum(values.values()) == PROCESSES * len(OUTCOMES)
    assert len({dict(labels)["gateway"] for _, labels in found if "gateway" in dict(labels)}) == GATEWAYS
    assert not [labels for _, labels in found if any("key-" in value for _, value in labels)]
    assert len(values) == PROCESSES * (8 + 1)


@pytest.mark.needs("promtool", "apt-get install prometheus")
async def test_prometheus_has_no_finding() -> None:
    async with served() as http:
        text = (await http.client.get("/metrics")).text
    promtool = shutil.which("promtool")
    assert promtool is not None
    ours = "".join(line for line in text.splitlines(keepends=True) if "python_info" not in line)
    done = subprocess.run([promtool, "check", "metrics"], input=ours.encode(), capture_output=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")
