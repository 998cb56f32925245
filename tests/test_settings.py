"""Settings: the environment over the file over the defaults, and nothing that is unknown or out of bounds."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path

import attrs
import hypothesis
import hypothesis.strategies as st
import pytest

from procession.errors import SettingsError
from procession.knob import Knob
from procession.settings import (
    FlowsSettings,
    GatewaysSettings,
    Settings,
    SupervisionSettings,
    knobs,
)
from procession.settings_file import load_settings

SHIPPED = Path(__file__).parent.parent / "config" / "procession.toml"
KNOBS = dict(knobs())
NUMBERS = {path: knob for path, knob in KNOBS.items() if knob.kind in (int, float)}


def written(folder: Path, text: str) -> Path:
    file = folder / "procession.toml"
    file.write_text(text, "utf-8")
    return file


def refusal(path: Path | None = None, **environ: str) -> SettingsError:
    with pytest.raises(SettingsError) as caught:
        load_settings(path, environ)
    return caught.value


def value_at(settings: Settings, path: tuple[str, ...]) -> object:
    found: object = settings
    for name in path:
        found = getattr(found, name)
    return found


_EXAMPLES: dict[type, str] = {float: "50.0", str: '"projections"'}
"""What the file shows of a key that may be left out."""
_EXAMPLE_OF: dict[tuple[str, ...], str] = {
    ("http", "bind"): '"127.0.0.1:8080"',
    ("telemetry", "otlp_endpoint"): '"http://127.0.0.1:4318"',
    ("telemetry", "metrics_endpoint"): '"http://127.0.0.1:4318"',
    ("http", "tokens"): '"tokens.toml"',
    ("http", "tls_certificate"): '"orders.crt"',
    ("http", "tls_key"): '"orders.key"',
}


def line_of(path: tuple[str, ...], knob: Knob) -> str:
    """The comment and the key of one knob, as the shipped file must have them."""
    value = (_EXAMPLE_OF.get(path) or _EXAMPLES[knob.kind]) if knob.default is None else json.dumps(knob.default)
    return f"# {knob.help} ({knob.allowed})\n{'# ' if knob.default is None else ''}{path[-1]} = {value}\n"


# The file that is shipped.


def test_the_shipped_file_holds_the_defaults() -> None:
    shipped = load_settings(SHIPPED, {})
    assert attrs.evolve(shipped, modules=(), import_paths=()) == Settings()


@pytest.mark.parametrize("path", [path for path in KNOBS if len(path) > 1], ids=".".join)
def test_the_shipped_file_says_what_each_key_does_and_takes(path: tuple[str, ...]) -> None:
    table = SHIPPED.read_text("utf-8").split(f"\n[{path[0]}]\n")[1].split("\n[")[0]
    assert line_of(path, KNOBS[path]) in table + "\n"


def test_the_shipped_file_names_flows_that_are_there() -> None:
    shipped = load_settings(SHIPPED, {})
    sources = [
        Path(folder) / f"{name.replace('.', '/')}.py" for folder in shipped.import_paths for name in shipped.modules
    ]
    assert sources
    assert [str(source) for source in sources if not source.is_file()] == []


# Environment over file over defaults.


def test_without_file_and_environment_the_defaults_hold() -> None:
    assert load_settings(None, {}) == Settings()


def test_the_file_goes_over_the_defaults(tmp_path: Path) -> None:
    settings = load_settings(written(tmp_path, '[journal]\nsynchronous = "NORMAL"\n'), {})
    assert settings.journal.synchronous == "NORMAL"
    assert settings.journal.readers == Settings().journal.readers


def test_the_environment_goes_over_the_file(tmp_path: Path) -> None:
    file = written(tmp_path, "[flows]\nawake_max = 5\ncached_max = 6\n")
    settings = load_settings(file, {"PROCESSION_FLOWS__AWAKE_MAX": "7"})
    assert (settings.flows.awake_max, settings.flows.cached_max) == (7, 6)


@pytest.mark.parametrize(
    ("name", "text", "path", "value"),
    [
        ("PROCESSION_JOURNAL__PATH", "a.db", ("journal", "path"), "a.db"),
        ("PROCESSION_GATEWAYS__PAUSED", "true", ("gateways", "paused"), True),
        ("PROCESSION_GATEWAYS__TIMEOUT_S", "2", ("gateways", "timeout_s"), 2.0),
        ("PROCESSION_GATEWAYS__RATE_PER_S", "", ("gateways", "rate_per_s"), None),
        ("PROCESSION_MODULES", "a.b, c", ("modules",), ("a.b", "c")),
    ],
)
def test_a_variable_is_read_as_its_setting_is(name: str, text: str, path: tuple[str, ...], value: object) -> None:
    assert value_at(load_settings(None, {name: text}), path) == value


def test_variables_of_others_are_left_alone() -> None:
    assert load_settings(None, {"HOME": "/", "PROCESSION_CI": "1", "PROCESSION_CONFIG": "x.toml"}) == Settings()


def test_import_paths_of_a_file_are_seen_from_its_folder(tmp_path: Path) -> None:
    settings = load_settings(written(tmp_path, 'import_paths = [".", "lib"]\n'), {})
    assert settings.import_paths == (str(tmp_path), str(tmp_path / "lib"))


@pytest.mark.parametrize("path", NUMBERS, ids=".".join)
@hypothesis.given(data=st.data())
def test_a_number_within_its_bounds_is_taken_the_same_from_file_and_environment(
    path: tuple[str, ...], data: st.DataObject
) -> None:
    knob = NUMBERS[path]
    numbers = st.integers(int(knob.low), int(knob.high)) if knob.kind is int else st.floats(knob.low, knob.high)
    number = data.draw(numbers)
    assert knob.checked("", tomllib.loads(f"n = {number!r}")["n"]) == number
    assert knob.parsed("", repr(number)) == number


# What is refused.


@pytest.mark.parametrize(
    ("text", "path", "cure"),
    [
        ("[flows]\nawake = 3\n", "flows.awake", "did you mean flows.awake_max?"),
        ("awake_max = 3\n", "awake_max", "did you mean flows.awake_max?"),
        ("[jurnal]\n", "jurnal", "did you mean journal?"),
        ("[gateways.payments]\nconcurency = 3\n", "gateways.payments.concurency", "gateways.payments.concurrency?"),
        ("[shutdown]\nquux = 3\n", "shutdown.quux", "known here are grace_s, last_commit_s"),
        ("[journal.path]\nfile = 'x'\n", "journal.path", "give it a text"),
        ("journal = 3\n", "journal", "write it as a table, [journal]"),
    ],
)
def test_an_unknown_key_is_refused_with_its_path_and_a_cure(tmp_path: Path, text: str, path: str, cure: str) -> None:
    refused = refusal(written(tmp_path, text))
    assert refused.path == path
    assert cure in refused.cure


@pytest.mark.parametrize(
    ("name", "cure"),
    [
        ("PROCESSION_FLOWS__AWAKE", "did you mean PROCESSION_FLOWS__AWAKE_MAX?"),
        ("PROCESSION_GATEWAYS__PAY__JITER", "did you mean PROCESSION_GATEWAYS__PAY__JITTER?"),
        (
            "PROCESSION_QUUX__X",
            (
                "known here are aggregates, commit, flows, gateways, http, intake, invariants, journal, log,"
                " processes, projectors, purity, resources, shutdown, supervision, telemetry,"
                " timers"
            ),
        ),
    ],
)
def test_an_unknown_variable_is_refused_by_its_name(name: str, cure: str) -> None:
    refused = refusal(None, **{name: "1"})
    assert (refused.path, refused.cure) == (name, cure)


@pytest.mark.parametrize("path", NUMBERS, ids=".".join)
def test_a_number_out_of_its_bounds_is_refused_with_the_range(path: tuple[str, ...]) -> None:
    knob = NUMBERS[path]
    name = "PROCESSION_" + "__".join(path).upper()
    for number in (knob.low - 1, knob.high + 1, float("nan"), float("inf")):
        refused = refusal(None, **{name: str(knob.kind(number) if number in (knob.low - 1, knob.high + 1) else number)})
        assert refused.path == name
        assert knob.allowed in refused.cure


@pytest.mark.parametrize(
    ("text", "path", "found", "cure"),
    [
        ("[flows]\nawake_max = 0\n", "flows.awake_max", "is 0", "give it a whole number, 1 to 100000"),
        ("[flows]\nawake_max = 1.5\n", "flows.awake_max", "is 1.5", "give it a whole number, 1 to 100000"),
        ("[flows]\nawake_max = true\n", "flows.awake_max", "is True", "give it a whole number, 1 to 100000"),
        ("[timers]\ncheck_interval_s = 1.5\n", "timers.check_interval_s", "is 1.5", "give it 0.01 to 1"),
        ("[journal]\nsynchronous = 'OFF'\n", "journal.synchronous", "is 'OFF'", "give it FULL or NORMAL"),
        ("[journal]\npath = ''\n", "journal.path", "is ''", "give it a text"),
        ("[gateways]\npaused = 1\n", "gateways.paused", "is 1", "give it true or false"),
        ("[gateways.a]\njitter = 2\n", "gateways.a.jitter", "is 2", "give it 0 to 1"),
        ("modules = 'a'\n", "modules", "is 'a'", "give it a list of texts"),
        ("modules = ['a', 1]\n", "modules", "is ['a', 1]", "give it a list of texts"),
    ],
)
def test_a_wrong_value_is_refused_with_what_was_found(
    tmp_path: Path, text: str, path: str, found: str, cure: str
) -> None:
    refused = refusal(written(tmp_path, text))
    assert (refused.path, refused.found, refused.cure) == (path, found, cure)


def test_a_first_wait_over_the_longest_is_refused(tmp_path: Path) -> None:
    refused = refusal(written(tmp_path, "[supervision]\nbackoff_initial_s = 6\n"))
    assert refused.path == "supervision.backoff_initial_s"
    assert "over backoff_max_s" in refused.found


def test_a_file_that_is_missing_is_refused_in_one_sentence(tmp_path: Path) -> None:
    assert "can't be read" in refusal(tmp_path / "none.toml").found


@pytest.mark.parametrize("content", [b"[journal\n", b"\xff"])
def test_a_file_that_is_no_toml_is_refused_in_one_sentence(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "procession.toml"
    file.write_bytes(content)
    assert refusal(file).found.startswith("is no TOML")


def test_settings_made_in_code_are_checked_like_those_that_are_read() -> None:
    with pytest.raises(SettingsError, match=r"FlowsSettings\.awake_max"):
        FlowsSettings(awake_max=0)
    with pytest.raises(SettingsError, match=r"SupervisionSettings\.backoff_initial_s"):
        SupervisionSettings(backoff_initial_s=10)
    with pytest.raises(SettingsError, match=r"gateways\.mail\.concurrency"):
        GatewaysSettings(by_name={"mail": {"concurrency": 0}})


# Gateways by name.


def test_a_gateway_takes_what_is_set_by_name_then_its_class_then_the_defaults(tmp_path: Path) -> None:
    file = written(tmp_path, "[gateways]\nattempts_max = 3\n[gateways.payments]\nconcurrency = 4\n")
    gateways = load_settings(file, {"PROCESSION_GATEWAYS__PAYMENTS__JITTER": "0"}).gateways
    payments = gateways.of("payments", {"concurrency": 8, "timeout_s": 2.0, "rate_per_s": None})
    assert (payments.concurrency, payments.timeout_s, payments.attempts_max, payments.jitter) == (4, 2.0, 3, 0.0)
    assert gateways.of("mail", {}).concurrency == Settings().gateways.concurrency


def test_what_a_class_declares_is_held_to_the_bounds() -> None:
    with pytest.raises(SettingsError, match=r"gateways\.mail\.concurrency: is 0"):
        Settings().gateways.of("mail", {"concurrency": 0})
    with pytest.raises(SettingsError, match=r"gateways\.mail\.backoff_initial_s: is 90"):
        Settings().gateways.of("mail", {"backoff_initial_s": 90.0})


def test_a_setting_for_a_gateway_that_is_not_there_is_refused() -> None:
    gateways = GatewaysSettings(by_name={"paiments": {"concurrency": 4}})
    with pytest.raises(SettingsError, match=r"did you mean gateways\.payments\?"):
        gateways.check_names(["mail", "payments"])


def test_what_is_set_by_name_can_not_be_changed() -> None:
    given: dict[str, dict[str, object]] = {"mail": {"concurrency": 4}}
    gateways = GatewaysSettings(by_name=given)
    given["mail"]["concurrency"] = 5
    assert gateways.of("mail", {}).concurrency == 4


def test_brackets_a_thousand_deep_are_refused(tmp_path: Path) -> None:
    assert refusal(written(tmp_path, "modules = " + "[" * 3_000)).found.startswith("is no TOML: ")


def test_a_name_with_a_line_break_is_refused_in_one_line(tmp_path: Path) -> None:
    assert str(refusal(written(tmp_path, '"a\\nb" = 1\n'))).startswith("setting a\\nb: is no setting")
