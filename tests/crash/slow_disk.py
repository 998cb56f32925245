"""A slow disk: each sync of a daemon under load takes so much longer (strace), and the loop must not notice.

    python -m tests.crash.slow_disk --delays-ms 10 100 1000 5000 --seconds 20 --seed 1

One daemon after another lives on one journal; the first has a quick disk, and the others are compared with it. Each is
asked all the time whether it lives, what it has counted and which flows there are, and is ended by SIGTERM in the midst
of its work. The last one, on a quick disk, lets everything come to rest; then the whole history is judged.
"""

# A script prints.
# ruff: noqa: T201

from __future__ import annotations

import argparse
import json
import re
import sys
import tempfile
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import attrs
import trio

from procession.daemon.http.timings import quantile
from procession.telemetry.names import COMMIT, LOOP_LAG
from tests.bench.figures import percentiles
from tests.crash.counts import Counts, add_arguments, hand_out
from tests.crash.judging import acknowledgements, come_to_rest, judged, reading
from tests.crash.lab import Lab, Load, lab, sending, stop
from tests.crash.senders import Wire, get
from tests.crash.served import FAULTS

_CLIENTS = Load(http=10, socket=2, pause_ms=2_000)
_SETTINGS = """
intake.events_max = 40
commit.rows_max = 100
gateways.shop.timeout_s = 2
gateways.bank.timeout_s = 2
"""
"""An intake that is soon full, and calls that may take less long than a commit does."""
ASKED = ("/livez", "/v1/flows?limit=20", "/metrics", "/v1/overview", "/readyz")
_PAUSE_S = 0.05
ANSWER_MS_MAX = 50
LAG_S_MAX = 0.05
_CALM_TIMES_MAX = 2
"""What takes longer than it may must also take so much longer than with a quick disk: the machine may be busy. What
this process itself is late by comes on top, as many times."""
_LONG_MS = 500
"""Whoever waits for a sync that takes so long shows it by half of it, and no busy machine is as slow. Of shorter ones
nothing is told where the daemon with the quick disk takes twice as long as it may."""
_LAGGING_SHARE_MAX = 0.01
_FULL_FROM_MS = 1_000
"""With syncs that take so long, more is sent than is taken."""
_SHOWN_TIMES_MAX, _SHOWN_MORE_S = 3, 0.1
"""A commit may take more than one sync, and is shown by buckets."""
_BEYOND_GRACE_SYNCS = 8
"""Of two commits, of a checkpoint before them and one after, and of the note that the end was clean."""
_GRACE_S, _ENDS_S = 5, 3
_PLANNED = re.compile("failed once|cancelled at shutdown")
_CALLS = "fsync,fdatasync"


@attrs.define
class Life:
    """What was seen of one daemon."""

    delay_ms: float
    took_ms: dict[str, list[float]] = attrs.field(factory=lambda: {path: [] for path in ASKED})
    """By path: how long answers took."""
    own_lags_ms: list[float] = attrs.field(factory=list)
    """How late this process was meanwhile, or how long the daemon's loop waited for a processor: whichever is more."""
    statuses: Counter[str] = attrs.field(factory=Counter)
    lags: list[int] = attrs.field(factory=list)
    """Of the loop's own measure, by bucket."""
    lag_s_p99: float = 0.0
    commit_s: tuple[float, float] = (0.0, 0.0)
    """As the metrics tell it: the median and the p99."""
    counted: dict[str, float] = attrs.field(factory=dict)
    code: int | None = None
    ended_s: float = 0.0

    def p99_ms(self, path: str) -> float:
        """Of a hundred answers the slowest but one."""
        return percentiles(self.took_ms[path] or [float("inf")])[2]

    @property
    def noise_ms(self) -> float:
        """What a busy machine may add to an answer."""
        return _CALM_TIMES_MAX * percentiles(self.own_lags_ms or [0.0])[2]

    @property
    def noise_share(self) -> float:
        """For how much of the time a busy machine may have the loop late."""
        stood_ms = sum(lag for lag in self.own_lags_ms if lag > ANSWER_MS_MAX)
        return _CALM_TIMES_MAX * stood_ms / (len(self.own_lags_ms) * _PAUSE_S * 1000 + stood_ms + 1)

    @property
    def is_long(self) -> bool:
        """No noise is as slow as its syncs."""
        return self.delay_ms >= _LONG_MS

    @property
    def bound_ms(self) -> float:
        """What takes longer waits for the disk, or for a processor."""
        return max(ANSWER_MS_MAX, self.delay_ms / 2) if self.is_long else ANSWER_MS_MAX

    def share_late(self, bound_s: float) -> float:
        """For how much of the time the loop was late by more; taken at the bound of a bucket."""
        at = max(bound for bound in LOOP_LAG.bounds if bound <= bound_s)
        bounds = (*LOOP_LAG.bounds, float("inf"))
        late = sum(count for bound, count in zip(bounds, self.lags, strict=True) if bound > at)
        return late / max(1, sum(self.lags))

    def __str__(self) -> str:
        answers = ", ".join(f"{path.partition('?')[0]} {self.p99_ms(path):.0f}" for path in ASKED)
        return (
            f"syncs take {self.delay_ms:g} ms more: p99 of answers in ms: {answers}, of {sum(self.statuses.values())};"
            f" this process was {self.noise_ms / _CALM_TIMES_MAX:.0f} ms late (p99); loop's lag"
            f" {self.lag_s_p99 * 1000:.0f} ms (p99), {self.share_late(LAG_S_MAX):.1%} over {LAG_S_MAX * 1000:.0f}; a"
            f" commit is shown to take {self.commit_s[1]:.3f} s (p99); exit code {self.code} after {self.ended_s:.1f} s"
        )


@attrs.define
class Report:
    """What a run found."""

    lives: list[Life] = attrs.field(factory=list)
    told: dict[str, int] = attrs.field(factory=dict)
    """What senders heard, how often."""
    acknowledgements: int = 0
    breaches: list[str] = attrs.field(factory=list)

    def judge(self, life: Life, calm: Life) -> None:
        """Compare with a life on a quick disk."""
        self.breaches += [f"with {life.delay_ms:g} ms, {breach}" for breach in _breaches(life, calm)]

    @property
    def counts(self) -> Counts:
        """As figures."""
        slowest = max((life.p99_ms(path) for life in self.lives for path in life.took_ms), default=0.0)
        figures = {
            "daemons": len(self.lives),
            "ms more for each sync at most": max((life.delay_ms for life in self.lives), default=0.0),
            "answers meanwhile": sum(sum(life.statuses.values()) for life in self.lives),
            "ms at most the p99 of a kind of them": slowest,
            "s at most to the end": max((life.ended_s for life in self.lives), default=0.0),
            "acknowledged events": self.acknowledgements,
        }
        return Counts(figures, self.breaches, ("daemons", "answers meanwhile", "acknowledged events"))

    def __str__(self) -> str:
        lives = "".join(f"\n  {life}" for life in self.lives)
        return (
            f"{len(self.lives)} daemons; {self.acknowledgements} acknowledged events; senders heard {self.told};"
            f" {len(self.breaches)} breaches{lives}"
        )


def _breaches(life: Life, calm: Life) -> list[str]:
    found = []
    if life.is_long or calm.p99_ms(ASKED[0]) <= _CALM_TIMES_MAX * ANSWER_MS_MAX:
        found += [
            f"the p99 of {path} is {life.p99_ms(path):.0f} ms, and {calm.p99_ms(path):.0f} ms on a quick disk"
            for path in ASKED
            if life.p99_ms(path) > max(life.bound_ms, _CALM_TIMES_MAX * calm.p99_ms(path)) + life.noise_ms
        ]
        late, late_calm = (one.share_late(life.bound_ms / 1000) for one in (life, calm))
        if late > max(_LAGGING_SHARE_MAX, _CALM_TIMES_MAX * late_calm) + life.noise_share:
            shares = f"{late:.1%} of the time, and {late_calm:.1%} on a quick disk"
            found.append(f"the loop is late by more than {life.bound_ms:.0f} ms for {shares}")
    delay_s = life.delay_ms / 1000
    median, p99 = life.commit_s
    if p99 < delay_s or median > delay_s * _SHOWN_TIMES_MAX + _SHOWN_MORE_S + _CALM_TIMES_MAX * calm.commit_s[1]:
        found.append(f"a commit is shown to take {median:.3f} s (median) and {p99:.3f} s (p99)")
    found += [f"{path} answered {status}" for path, status in map(str.split, life.statuses) if status != "200"]
    found += [f"{name} is {value:g}" for name, value in life.counted.items() if value]
    if life.code != 0:
        found.append(f"it ended with {life.code}")
    if life.ended_s > _GRACE_S + _ENDS_S + _BEYOND_GRACE_SYNCS * delay_s:
        found.append(f"it took {life.ended_s:.1f} s to end")
    return found


def run(folder: Path, *, delays_ms: Sequence[float], seconds: float, seed: int, fault: str = "-") -> Report:
    """One life for each delay, after one without; then one more until all rests, and judge everything."""
    report = Report()
    with (
        lab(folder, _SETTINGS, fault=fault) as slowed,
        sending(slowed, attrs.evolve(_CLIENTS, seed=seed)) as end,
    ):
        for delay_ms in (0.0, *delays_ms):
            report.lives.append(_lived(slowed, delay_ms, seconds + 2 * delay_ms / 1000))
        with slowed.life() as process:
            assert slowed.wait_ready(process), slowed.said
            report.told = end()
            come_to_rest(slowed)
            assert stop(process)[0] == 0, slowed.said
    calm, *slow = report.lives
    for life in slow:
        report.judge(life, calm)
    if slow and max(delays_ms) >= _FULL_FROM_MS and not report.told.get("HTTP 429"):
        report.breaches.append("nothing was refused: the intake has no bound")
    report.acknowledgements = acknowledgements(folder)
    report.breaches += [*_failures(folder), *judged(folder)]
    return report


def _lived(slowed: Lab, delay_ms: float, seconds: float) -> Life:
    life = Life(delay_ms)
    # No system call but these stops for strace: else all of it would be slower.
    tracer = ("strace", "-D", "-f", "--seccomp-bpf", "-qqq", "-o", "/dev/null", "-e", f"trace={_CALLS}")
    delay_us = max(1, int(delay_ms * 1000))
    with slowed.life(tracer=(*tracer, "-e", f"inject={_CALLS}:delay_enter={delay_us}")) as process:
        assert slowed.wait_ready(process), slowed.said
        trio.run(_look, slowed.port, process.pid, life, seconds)
        life.code, life.ended_s = stop(process)
    return life


async def _look(port: int, pid: int, life: Life, seconds: float) -> None:
    """Ask again and again for so long, and read what was counted."""
    with trio.move_on_after(seconds):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(_measure_noise, pid, life)
            for path in ASKED:
                nursery.start_soon(_ask, port, path, life)
    wire = Wire(await trio.open_tcp_stream("127.0.0.1", port))
    async with wire.stream:
        text = (await get(wire, "/metrics")).body.decode()
    life.lags = _histogram(text, LOOP_LAG.in_prometheus)
    life.lag_s_p99 = quantile(LOOP_LAG.bounds, life.lags, 0.99)
    commits = _histogram(text, COMMIT.in_prometheus)
    life.commit_s = quantile(COMMIT.bounds, commits, 0.5), quantile(COMMIT.bounds, commits, 0.99)
    for name in ("flows_quarantined_total", 'commits_total{outcome="failed"}', "breakers_opened_total", "held "):
        life.counted[name.strip()] = _sum(text, f"procession_{name}")


async def _measure_noise(pid: int, life: Life) -> None:
    waited_ms = _waited_for_a_core_ms(pid)
    while True:
        due = trio.current_time() + _PAUSE_S
        await trio.sleep_until(due)
        before_ms, waited_ms = waited_ms, _waited_for_a_core_ms(pid)
        life.own_lags_ms.append(max((trio.current_time() - due) * 1000, waited_ms - before_ms))


def _waited_for_a_core_ms(pid: int) -> float:
    """Of the first thread of a process, in which its loop runs, so far; Linux counts it."""
    return int(Path(f"/proc/{pid}/task/{pid}/schedstat").read_text().split()[1]) / 1e6


async def _ask(port: int, path: str, life: Life) -> None:
    wire = Wire(await trio.open_tcp_stream("127.0.0.1", port))
    async with wire.stream:
        await get(wire, path)  # the first answer loads what it needs
        while True:
            began = trio.current_time()
            answer = await get(wire, path)
            life.took_ms[path].append((trio.current_time() - began) * 1000)
            life.statuses[f"{path} {answer.status}"] += 1
            await trio.sleep(_PAUSE_S)


def _histogram(text: str, name: str) -> list[int]:
    """The counts of its buckets, each without those below."""
    below = [int(float(count)) for count in re.findall(rf"^{name}_bucket{{.*}} (\S+)$", text, re.MULTILINE)]
    return [count - before for count, before in zip(below, [0, *below], strict=False)]


def _sum(text: str, begin: str) -> float:
    lines = [line for line in text.splitlines() if line.startswith(begin)]
    assert lines, f"nothing is called {begin}"
    return sum(float(line.rpartition(" ")[2]) for line in lines)


def _failures(folder: Path) -> list[str]:
    """Attempts that failed by anything but what the world had planned."""
    with reading(folder) as journal:
        logs = [json.loads(log) for (log,) in journal.execute("select log from command where log is not null")]
    found = Counter(entry["found"] for log in logs for entry in log if not _PLANNED.search(entry["found"]))
    return [f"{count} attempts failed by: {what}" for what, count in found.items()]


def main() -> int:
    parser = argparse.ArgumentParser(description="Have a daemon's syncs take long, and ask it meanwhile.")
    parser.add_argument("--delays-ms", type=float, nargs="+", default=[10, 100, 1_000, 5_000])
    parser.add_argument("--seconds", type=float, default=20)
    parser.add_argument("--seed", type=int, default=1)
    add_arguments(parser, minutes=False, faults=FAULTS)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="lab-") as folder:
        report = run(
            Path(folder) / "slowed",
            delays_ms=given.delays_ms,
            seconds=given.seconds,
            seed=given.seed,
            fault=given.fault,
        )
    print(f"seed {given.seed}, fault {given.fault}: {report}")
    return hand_out(given, report.counts)


if __name__ == "__main__":
    sys.exit(main())
