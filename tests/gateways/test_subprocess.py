"""Commands as runs of a program: what it gets, how its end is judged, and that nothing of it is left behind."""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path
from typing import Any

import pytest
import trio
import trio.testing

from procession import (
    Attempt,
    AttemptFailed,
    Command,
    CommandGivenUp,
    Effects,
    Event,
    ProcessManager,
    Refused,
    Settings,
    end,
    ends,
    on,
    open_runtime,
    starts,
)
from procession.gateways.subprocess import ProgramPolicy, SubprocessGateway
from procession.settings import ShutdownSettings
from procession.settings_file import load_settings

ATTEMPT = Attempt("00ff", 3, "printing", "a", 5.0, "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01")


class PageAsked(Event, name="printing.asked"):
    page_id: str
    code: str


class PagePrinted(Event, name="printing.printed"):
    page_id: str
    sheets: int


class Print(Command, name="printing.print"):
    page_id: str
    code: str


class Printing(ProcessManager, name="printing", key="page_id"):
    @starts
    def ask(self, asked: PageAsked) -> Effects:
        yield Print(asked.page_id, asked.code)

    @ends(outcome="printed")
    def printed(self, printed: PagePrinted) -> None: ...

    @on
    def lost(self, lost: CommandGivenUp[Print]) -> Effects:
        yield end(lost.reason)


class Press(
    SubprocessGateway,
    name="press",
    timeout_s=0.5,
    attempts_max=2,
    backoff_initial_s=0.01,
    program=ProgramPolicy(
        environment=("PATH", "SHOWN"), refusals=frozenset({3}), output_bytes_max=10_000, kill_after_s=0.3
    ),
):
    """Runs Python code, as its command says."""

    async def print(self, command: Print, attempt: Attempt) -> PagePrinted:
        return (await self.run(attempt, python(command.code), stdin=command)).read(PagePrinted)


def python(code: str) -> list[str]:
    return [sys.executable, "-I", "-S", "-c", code]


async def run(code: str, **how: Any) -> Any:  # noqa: ANN401 - JSON
    return (await Press().run(ATTEMPT, python(code), **how)).json()


def is_alive(pid: int) -> bool:
    """Whether a process runs; a zombie does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except (FileNotFoundError, ProcessLookupError):
        return False


async def until_gone(pid: int) -> None:
    """Of what was killed and is nobody's child here, nobody tells when it is gone; of itself it would stay longer."""
    with trio.fail_after(30):
        while is_alive(pid):  # noqa: ASYNC110 - as it says
            await trio.sleep(0.01)


# What a program gets.


async def test_a_command_comes_in_as_json() -> None:
    assert await run("import sys; print(sys.stdin.read())", stdin=Print("ä", "c")) == {"page_id": "ä", "code": "c"}


async def test_bytes_come_in_as_they_are_and_nothing_as_an_empty_file() -> None:
    assert await run("import sys; print(len(sys.stdin.buffer.read()))", stdin=b"\x00\xff") == 2
    assert await run("import sys; print(len(sys.stdin.buffer.read()))") == 0


async def test_a_program_knows_its_command_attempt_and_trace() -> None:
    names = ("PROCESSION_COMMAND_ID", "PROCESSION_ATTEMPT", "TRACEPARENT")
    assert await run(f"import os, json; print(json.dumps([os.environ[n] for n in {names}]))") == [
        "00ff",
        "3",
        ATTEMPT.trace,
    ]


async def test_of_the_environment_it_sees_what_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SHOWN", "1")
    monkeypatch.setenv("HIDDEN", "secret")
    seen = await run("import os, json; print(json.dumps(dict(os.environ)))", environment={"EXTRA": "2"})
    assert (seen["SHOWN"], seen["EXTRA"], "HIDDEN" in seen) == ("1", "2", False)


async def test_it_runs_in_the_folder_that_is_named(tmp_path: Path) -> None:
    assert await run("import os, json; print(json.dumps(os.getcwd()))", folder=tmp_path) == str(tmp_path)


async def test_words_reach_it_as_they_are_since_no_shell_reads_them() -> None:
    words = ["$HOME; rm -rf *", "a b", "'", "`id`", ""]
    echo = [*python("import sys, json; print(json.dumps(sys.argv[1:]))"), *words]
    assert (await Press().run(ATTEMPT, echo)).json() == words


async def test_a_line_for_a_shell_is_refused() -> None:
    with pytest.raises(TypeError, match="words of a list"):
        await Press().run(ATTEMPT, "echo hello")
    with pytest.raises(ValueError, match="no program to run"):
        await Press().run(ATTEMPT, [])


def test_a_procession_within_a_program_takes_these_variables_for_no_settings() -> None:
    assert load_settings(None, {"PROCESSION_COMMAND_ID": "00ff", "PROCESSION_ATTEMPT": "1"}) == Settings()


# How it ends.


async def test_its_output_is_read_as_an_event() -> None:
    done = await Press().run(ATTEMPT, python("""print('{"page_id": "a", "sheets": 2, "ink": "black"}')"""))
    assert done.read(PagePrinted) == PagePrinted("a", 2)


@pytest.mark.parametrize(
    ("code", "error", "shown"),
    [
        ("import sys; sys.exit(3)", Refused, "ended with code 3"),
        ("import sys; sys.exit('no   paper')", AttemptFailed, "ended with code 1: no paper"),
        ("import os; os.kill(os.getpid(), 9)", AttemptFailed, "was ended by signal 9"),
        ("print('x' * 20_000)", AttemptFailed, "wrote more than 10000 bytes (output_bytes_max)"),
        ("while True: print('x' * 1000)", AttemptFailed, "wrote more than 10000 bytes"),
        ("print('fine')", AttemptFailed, "ended with what is no JSON"),
        ("""print('{"page_id": "a"}')""", AttemptFailed, "no PagePrinted: required field missing @ $.sheets"),
        ("print('[]')", AttemptFailed, "expected an object, found list"),
    ],
)
async def test_any_other_end_says_what_it_was(code: str, error: type[Exception], shown: str) -> None:
    with pytest.raises(error) as caught:
        await Press().print(Print("a", code), ATTEMPT)
    assert f"{Path(sys.executable).name} " in str(caught.value)
    assert shown in str(caught.value)


@pytest.mark.parametrize(
    ("words", "shown"), [(["/nowhere/press"], "No such file"), (["/"], "Permission denied"), (["a\0b"], "null byte")]
)
async def test_a_program_that_can_not_be_started_is_a_failed_attempt(words: list[str], shown: str) -> None:
    with pytest.raises(AttemptFailed, match=f"can't be started: .*{shown}"):
        await Press().run(ATTEMPT, words)


async def test_much_complaint_is_read_and_only_its_end_is_kept() -> None:
    code = "import sys; sys.stderr.write('x ' * 500_000 + 'the end'); sys.exit(1)"
    with pytest.raises(AttemptFailed) as caught:
        await run(code)
    assert str(caught.value).endswith("x the end")
    assert len(str(caught.value)) < 250


async def test_a_secret_of_the_environment_is_not_told() -> None:
    code = "import os, sys; sys.exit('failed with ' + os.environ['TOKEN'])"
    with pytest.raises(AttemptFailed, match=r"failed with •••$"):
        await run(code, environment={"TOKEN": "s3cr3t"})


async def test_a_program_need_not_read_what_it_gets() -> None:
    assert await run("print(1)", stdin=b"x" * 1_000_000) == 1


# What is left of it.

CHILD = "import subprocess, sys; child = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(60)']); "
AWAY = CHILD.replace("60)']", "90)'], start_new_session=True")
STUBBORN = (
    "import os, signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); "
    "open({0!r}, 'w').write(str(os.getpid())); time.sleep(60)"
)


async def test_what_a_program_leaves_running_ends_with_it() -> None:
    child = await run(f"{CHILD}print(child.pid)")
    await until_gone(child)


async def test_who_leaves_its_group_is_not_waited_for() -> None:
    began = trio.current_time()
    child = await run(f"{AWAY}print(child.pid)")
    assert trio.current_time() - began < 30
    os.kill(child, signal.SIGKILL)


async def test_cut_short_the_whole_group_ends_the_stubborn_too(tmp_path: Path) -> None:
    note = tmp_path / "pid"
    inner = STUBBORN.format(str(note))
    outer = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {inner!r}])"
    async with trio.open_nursery() as nursery:
        nursery.start_soon(Press().run, ATTEMPT, python(outer))
        while not (note.exists() and note.read_text()):  # noqa: ASYNC110 - nobody tells when another program writes
            await trio.sleep(0.01)
        nursery.cancel_scope.cancel()
        began = trio.current_time()
    assert nursery.cancel_scope.cancelled_caught
    assert trio.current_time() - began < 30
    await until_gone(int(note.read_text()))


async def test_cut_short_what_a_program_started_is_told_first_and_may_tidy_up(tmp_path: Path) -> None:
    class PatientPress(Press, name="press", program=ProgramPolicy(kill_after_s=30)): ...

    note, ready = tmp_path / "told", tmp_path / "ready"
    tidy = f"import signal, sys, time; signal.signal(15, lambda *_: (open({str(note)!r}, 'w').close(), sys.exit()))"
    inner = f"{tidy}; open({str(ready)!r}, 'w').close(); time.sleep(60)"
    outer = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {inner!r}])"
    async with trio.open_nursery() as nursery:
        nursery.start_soon(PatientPress().run, ATTEMPT, python(outer))
        while not ready.exists():  # noqa: ASYNC110 - as above
            await trio.sleep(0.01)
        nursery.cancel_scope.cancel()
    assert note.exists()


async def test_a_program_that_takes_too_long_is_ended_tried_again_and_given_up(
    tmp_path: Path, mock_clock: trio.testing.MockClock
) -> None:
    class OncePress(Press, name="press", timeout_s=600, attempts_max=2, backoff_initial_s=0.01): ...

    mock_clock.rate = 1  # however long a busy machine takes to start a program, its time is over when it is here
    note = tmp_path / "pids"
    note.touch()
    code = f"import time, os; open({str(note)!r}, 'a').write(f'{{os.getpid()}} '); time.sleep(60)"
    async with open_runtime(tmp_path / "j.db", processes=[Printing], gateways=[OncePress()]) as runtime:
        await runtime.publish(PageAsked("a", code))
        for begun in (1, 2):
            while len(note.read_text().split()) < begun:  # noqa: ASYNC110 - as above
                await trio.sleep(0.01)
            mock_clock.jump(601)
        assert await runtime.flow(Printing, "a").wait_ended() == "unknown"
    pids = [int(pid) for pid in note.read_text().split()]
    assert [is_alive(pid) for pid in pids] == [False, False]


async def test_a_closing_runtime_leaves_no_program_behind(tmp_path: Path) -> None:
    class SlowPress(Press, name="press", timeout_s=60): ...

    note = tmp_path / "pid"
    os.mkfifo(note)
    code = f"import time, os; f = open({str(note)!r}, 'w'); f.write(str(os.getpid())); f.close(); time.sleep(60)"
    hasty = Settings(shutdown=ShutdownSettings(grace_s=0.05))
    async with open_runtime(tmp_path / "j.db", processes=[Printing], gateways=[SlowPress()], settings=hasty) as runtime:
        await runtime.publish(PageAsked("a", code))
        pid = int(await trio.to_thread.run_sync(note.read_text))
        assert is_alive(pid)
    assert not is_alive(pid)


async def test_a_command_runs_to_its_event(tmp_path: Path) -> None:
    class PatientPress(Press, name="press", timeout_s=50): ...

    code = "import sys, json; page = json.load(sys.stdin)['page_id']; print(json.dumps({'page_id': page, 'sheets': 2}))"
    async with open_runtime(tmp_path / "j.db", processes=[Printing], gateways=[PatientPress()]) as runtime:
        await runtime.publish([PageAsked(str(n), code) for n in range(5)])
        assert {await runtime.flow(Printing, n).wait_ended(50) for n in range(5)} == {"printed"}
