"""The command line as such: help, versions, errors, colours, pipes."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from procession.daemon.arguments import VERBS
from procession.daemon.exit_codes import ExitCode, code_of
from procession.errors import NotFound, SettingsError
from procession.journal_errors import JournalOwned, JournalTooNew
from tests.daemon.command import CONFIG, ROOT, arguments_of, environment, run, run_json
from tests.daemon.inside import json_inside, run_inside

HEAVY = {"aiosqlite", "asyncio", "attrs", "cattrs", "opentelemetry", "orjson", "rich", "trio"}


def test_help_loads_nothing_heavy(tmp_path: Path) -> None:
    """How long it takes is measured by `tests.bench.run startup`."""
    code = "import sys; from procession.daemon.cli import main\ntry: main(['--help'])\nfinally: print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, check=True, capture_output=True, text=True)
    shown, _, loaded = done.stdout.rstrip().rpartition("\n")
    assert "usage: procession" in shown
    assert HEAVY.isdisjoint(loaded.split())


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_has_help_and_takes_json(verb: str, tmp_path: Path) -> None:
    done = run(verb, "--help", cwd=tmp_path)
    assert done.returncode == 0
    assert b"--json" in done.stdout


def test_the_version_is_told(tmp_path: Path) -> None:
    assert run("--version", cwd=tmp_path).stdout.startswith(b"procession ")
    assert "version" in json.loads(run("--version", "--json", cwd=tmp_path).stdout)


@pytest.mark.parametrize(
    ("arguments", "meant"),
    [
        (["lss"], "did you mean ls?"),
        (["ls", "--limt", "3"], "did you mean --limit?"),
        (["ls", "--status", "quarantine"], "did you mean quarantined?"),
        (["schemas", "--format", "linkm"], "did you mean linkml?"),
        ([], "name a verb"),
        (["retry", "order/1"], "required: --reason"),
        (["demo", "--flows", "0"], "less than 1"),
        (["ls", "--older-than", "soon"], "no age"),
        (["show", "order"], "names no flow"),
    ],
)
def test_a_command_line_that_can_not_be_read_says_what_was_meant(
    arguments: list[str], meant: str, tmp_path: Path
) -> None:
    done = run_inside(*arguments, cwd=tmp_path)
    assert done.code == 2
    assert meant in done.err
    assert done.err.count("\n") == 1
    assert done.out == ""


def test_a_wrong_usage_is_json_where_json_is_asked_for(tmp_path: Path) -> None:
    found = run_json("lss", cwd=tmp_path, code=2)
    assert found["exit_code"] == 2
    assert "did you mean ls?" in found["error"]


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (["ls", "--config", "none.toml"], 3),
        (["ls"], 3),
        (["show", "order/1"], 3),
        (["backup", "copy.db"], 3),
        (["retry", "order/1", "--reason", "x"], 3),
        (["publish", "none.jsonl"], 2),  # no flows are configured
    ],
)
def test_what_is_not_there_is_told_in_one_sentence(arguments: list[str], code: int, tmp_path: Path) -> None:
    done = run_inside(*arguments, cwd=tmp_path)
    assert (done.code, done.err.count("\n"), done.out) == (code, 1, "")
    assert "Traceback" not in done.err
    assert list(tmp_path.iterdir()) == []


def test_an_unknown_setting_is_told_with_its_path(tmp_path: Path) -> None:
    (tmp_path / "bad.toml").write_text("[journal]\npathh = 'x'\n")
    done = run_inside("ls", "--config", "bad.toml", cwd=tmp_path)
    assert done.code == 2
    assert "journal.pathh" in done.err


def test_the_variable_names_the_configuration(tmp_path: Path) -> None:
    done = run_inside("ls", cwd=tmp_path, environ={"PROCESSION_CONFIG": "none.toml"})
    assert done.code == 3
    assert "none.toml" in done.err


def test_options_stand_before_or_after_the_verb(tmp_path: Path) -> None:
    before, after = (
        json_inside(*order, cwd=tmp_path, code=3)
        for order in (["--journal", "x.db", "ls"], ["ls", "--journal", "x.db"])
    )
    assert before == after


def test_a_reader_that_has_enough_is_no_error(tmp_path: Path) -> None:
    done = run("demo", "--flows", "30", "--fast", "--journal", "a.db", "--config", CONFIG, cwd=tmp_path)
    assert done.returncode == 0
    with subprocess.Popen(
        arguments_of("ls", "--limit", "0", "--journal", "a.db"),
        cwd=tmp_path,
        env=environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as reading:
        assert reading.stdout is not None
        assert reading.stderr is not None
        reading.stdout.close()
        assert reading.stderr.read() == b""
        assert reading.wait(50) == 0


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (JournalOwned("a.db", 1, "here", "now"), 8),
        (JournalTooNew("a.db", 9, 1), 9),
        (NotFound("flow", "a/1"), 3),
        (SettingsError("a", "is b", "mend it"), 2),
        (TimeoutError(), 6),
        (OSError(), 1),
    ],
)
def test_each_error_has_its_code(error: Exception, code: int) -> None:
    assert code_of(error) == code


def test_the_page_names_every_verb_and_every_exit_code() -> None:
    page = (ROOT / "docs" / "cli.md").read_text("utf-8")
    assert [verb for verb in VERBS if f"`{verb}" not in page] == []
    assert [code.value for code in ExitCode if not re.search(rf"^\| {code.value} \|", page, re.MULTILINE)] == []
