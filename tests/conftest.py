"""What every test shares: hypothesis profiles, and tests that need a program of the system."""

from __future__ import annotations

import os
import shutil
import signal
from collections.abc import Generator, Iterator

import hypothesis
import pytest
import trio

IN_CI = os.environ.get("PROCESSION_CI") == "1"

hypothesis.settings.register_profile("dev", max_examples=50, deadline=None)
hypothesis.settings.register_profile("ci", max_examples=100, deadline=None, derandomize=True, print_blob=True)
hypothesis.settings.register_profile(
    "nightly", max_examples=int(os.environ.get("HYPOTHESIS_EXAMPLES", "5000")), deadline=None
)
hypothesis.settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "ci" if IN_CI else "dev"))

_NEEDS = "needs"
_SLOW_TIMEOUT_S = 180


def pytest_configure() -> None:
    """Hear Ctrl-C also where a shell started the tests in the background, with SIGINT ignored: some tests send it."""
    if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Slow tests run real processes, browsers and disks beside each other: they get longer, if they say nothing."""
    timeout_s = max(_SLOW_TIMEOUT_S, config.getoption("timeout") or 0)
    for item in items:
        if item.get_closest_marker("slow") and not item.get_closest_marker("timeout"):
            item.add_marker(pytest.mark.timeout(timeout_s))


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Skip a test marked `needs(program, cure)` where the program is missing; in CI that is a failure."""
    for marker in item.iter_markers("needs"):
        program: str = marker.args[0]
        cure: str = marker.args[1]
        if shutil.which(program) is None:
            if IN_CI:
                pytest.fail(f"{program} is not installed; {cure}", pytrace=False)
            item.user_properties.append((_NEEDS, (program, cure)))
            pytest.skip(f"{program} is not installed; {cure}")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Generator[None, object, object]:
    """Stop after a time limit that struck inside of trio's own loop: nothing can run on trio in this thread then.

    xdist passes this on: the other processes stop too.
    """
    done = yield
    if trio.lowlevel.in_trio_run():
        item.session.shouldstop = "a test ran into its time limit; trio can run nothing more after it"
    return done


@pytest.hookimpl(wrapper=True)
def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> Iterator[None]:
    """End with one line on what was skipped for want of a program, and how to have it.

    Reports tell of it, since they alone come back from the processes in which xdist runs tests.
    """
    yield
    skipped = terminalreporter.stats.get("skipped", [])
    if missing := {tuple(value) for report in skipped for name, value in report.user_properties if name == _NEEDS}:
        cures = ", ".join(f"{program} ({cure})" for program, cure in sorted(missing))
        terminalreporter.write_line(f"skipped for want of a program: {cures}")
