"""`procession check`: what it prints, for people and programs, its exit codes, and what it says of bad input."""

from __future__ import annotations

import json
import logging
import sys
import textwrap
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import attrs
import pytest

from procession.daemon import cli
from procession.laws.codes import RULES
from tests.daemon.command import CONFIG, ROOT
from tests.daemon.inside import run_inside

CLEAN = """
    from procession import Effects, Event, ProcessManager, Settings, Wiring, end, starts

    class OrderPlaced(Event, name="checked.placed"):
        order_id: str

    class Order(ProcessManager, name="checked.order", key="order_id"):
        @starts
        def begin(self, placed: OrderPlaced) -> Effects:
            yield end()
"""
WIRED = """
    def wire_production(settings: Settings) -> Wiring:
        return Wiring((Order,), ())
"""
IMPURE = CLEAN.replace("yield end()", "yield end(str(time.time()))").replace(
    "from procession", "import time\n    from procession", 1
)
ALLOWED = IMPURE.replace(
    "        @starts", '        @allows("LAW03", reason="the clock is the subject")\n        @starts'
).replace("import Effects", "import allows, Effects")


@attrs.frozen
class Ran:
    """What one run of the command said."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.out)
        return found


Check = Callable[..., Ran]


@pytest.fixture
def check(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Iterator[Check]:
    """Runs the verb in a folder of its own; modules that it imports are forgotten afterwards."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])
    monkeypatch.setattr(logging.getLogger(), "handlers", [])
    monkeypatch.delenv("PROCESSION_CONFIG", raising=False)

    def run_check(*arguments: str) -> Ran:
        try:
            code = cli.main(["check", *arguments])
        except SystemExit as stopped:
            code = int(str(stopped.code))
        said = capsys.readouterr()
        return Ran(code, said.out, said.err)

    yield run_check
    for name, module in list(sys.modules.items()):
        if str(getattr(module, "__file__", None) or "").startswith(str(tmp_path)):
            del sys.modules[name]


def written(name: str, *parts: str) -> str:
    path = Path(name)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(textwrap.dedent(part) for part in parts), "utf-8")
    return name


# What it finds.


def test_the_reference_flows_are_clean(tmp_path: Path) -> None:
    done = run_inside("check", "--config", CONFIG, cwd=tmp_path)
    assert (done.code, done.out) == (0, "")
    assert done.err == "clean (4 processes, 6 gateways, 2 projectors, 8 invariants)\n"


def test_a_module_is_checked_by_name_and_by_file(check: Check) -> None:
    written("orders_by_name.py", CLEAN, WIRED)
    assert check("orders_by_name").code == 0
    assert check("orders_by_name.py").code == 0


def test_a_finding_is_one_line_with_place_code_cure_and_allowance(check: Check) -> None:
    written("impure.py", IMPURE, WIRED)
    ran = check("impure")
    place, code, subject, found, cure, allow = ran.out.rstrip("\n").split("\t")
    assert (ran.code, place, code, subject, found) == (
        1,
        "impure.py:11",
        "LAW03",
        "Order.begin",
        "reads the clock: time.time",
    )
    assert "put the time on the event" in cure
    assert allow == '@allows("LAW03", reason="...") above Order.begin'
    assert ran.err == "1 finding (1 process)\n"


def test_what_is_allowed_does_not_fail_the_check(check: Check) -> None:
    written("allowed.py", ALLOWED, WIRED)
    ran = check("allowed")
    assert (ran.code, ran.out, ran.err) == (0, "", "clean; 1 allowed, with a reason (1 process)\n")


def test_json_holds_findings_and_what_is_allowed(check: Check) -> None:
    written("allowed.py", ALLOWED, WIRED)
    written("impure.py", IMPURE.replace("checked.", "impure."), WIRED)
    ran = check("impure", "allowed", "--json")
    assert ran.code == 1
    assert [(each["code"], each["path"], each["line"]) for each in ran.json["findings"]] == [("LAW03", "impure.py", 11)]
    assert [(each["code"], each["reason"]) for each in ran.json["allowed"]] == [("LAW03", "the clock is the subject")]
    assert {name: ran.json[name] for name in ("clean", "modules", "processes", "gateways", "tests")} == {
        "clean": False,
        "modules": ["impure", "allowed"],
        "processes": 2,
        "gateways": 0,
        "tests": 0,
    }


def test_a_class_that_is_refused_while_its_module_is_imported_is_a_finding(check: Check) -> None:
    written("listed.py", CLEAN.replace("order_id: str", "order_id: str\n        items: list[str]"), WIRED)
    ran = check("listed", "--json")
    (finding,) = ran.json["findings"]
    assert (ran.code, finding["code"], finding["subject"]) == (1, "LAW01", "OrderPlaced.items")
    assert (finding["path"], finding["line"], finding["allow"]) == ("listed.py", 4, "")


def test_the_other_modules_are_checked_all_the_same(check: Check) -> None:
    written("listed.py", CLEAN.replace("order_id: str", "order_id: str\n        items: list[str]"), WIRED)
    written("impure.py", IMPURE, WIRED)
    assert [each["code"] for each in check("listed", "impure", "--json").json["findings"]] == ["LAW03", "LAW01"]


def test_processes_of_several_modules_are_checked_together(check: Check) -> None:
    written("first.py", CLEAN, "    from procession import Command\n", WIRED.replace("()", "(), (OrderPlaced,)"))
    written("second.py", CLEAN.replace("checked.", "second."), WIRED.replace("()", "(), (OrderPlaced,)"))
    assert check("first", "second").code == 0


def test_processes_without_a_wiring_are_checked_one_by_one(check: Check) -> None:
    written("alone.py", IMPURE)
    assert [each["code"] for each in check("alone", "--json").json["findings"]] == ["LAW03"]


def test_a_module_may_hold_objects_that_must_not_be_asked(check: Check) -> None:
    proxy = """
    class Proxy:
        @property
        def __class__(self):
            raise RuntimeError("asked too early")

    current = Proxy()
"""
    written("proxied.py", CLEAN, proxy)
    assert check("proxied").code == 0


def test_tests_are_checked_for_what_they_look_at(check: Check) -> None:
    written("orders.py", CLEAN, WIRED)
    written("test_orders.py", "from orders import Order\n\ndef test_order():\n    assert Order() is not None\n")
    (finding,) = check("test_orders.py", "--json").json["findings"]
    assert (finding["code"], finding["line"], finding["subject"]) == ("LAW10", 4, "test_order")


def test_a_file_of_a_package_is_imported_as_its_package_does(check: Check) -> None:
    written("shop/__init__.py", "")
    written("shop/clock.py", "import time\n\ndef stamp():\n    return str(time.time())\n")
    written(
        "shop/orders.py", CLEAN.replace("yield end()", "yield end(clock.stamp())"), "from shop import clock\n", WIRED
    )
    (finding,) = check("shop/orders.py", "--json").json["findings"]
    assert (finding["path"], finding["line"]) == ("shop/clock.py", 4)
    assert finding["found"] == "reads the clock by stamp(): time.time"


def test_the_modules_of_the_configuration_are_checked_where_none_is_named(check: Check) -> None:
    written("flows_here/orders_here.py", IMPURE, WIRED)
    written("config/procession.toml", 'modules = ["orders_here"]\nimport_paths = ["../flows_here"]\n')
    assert check("--json").json["modules"] == ["orders_here"]


def test_the_wiring_for_tests_can_be_checked_instead(check: Check) -> None:
    broken = WIRED.replace("return Wiring((Order,), ())", 'raise KeyError("SHOP_TOKEN")')
    written("needs_token.py", CLEAN, broken, WIRED.replace("production", "testing"))
    assert check("needs_token", "--wiring", "testing").code == 0


# SARIF.


def test_sarif_holds_rules_places_and_reasons(check: Check, tmp_path: Path) -> None:
    written("im pure.py", IMPURE.replace("checked.", "impure."), WIRED)
    written("allowed.py", ALLOWED, WIRED)
    ran = check("im pure.py", "allowed.py", "--sarif")
    (made,) = ran.json["runs"]
    rules = made["tool"]["driver"]["rules"]
    first, second = made["results"]
    assert (ran.code, ran.json["version"]) == (1, "2.1.0")
    assert [rule["id"] for rule in rules] == list(RULES)
    assert {rules[result["ruleIndex"]]["id"] for result in made["results"]} == {"LAW03"}
    assert first["suppressions"] == [
        {"kind": "inSource", "status": "accepted", "justification": "the clock is the subject"}
    ]
    assert second["locations"][0]["physicalLocation"] == {
        "artifactLocation": {"uri": "im%20pure.py", "uriBaseId": "ROOT"},
        "region": {"startLine": 11},
    }
    assert second["message"]["text"].startswith("Order.begin reads the clock: time.time. Cure: ")
    assert made["originalUriBaseIds"]["ROOT"]["uri"] == f"{tmp_path.resolve().as_uri()}/"


def test_sarif_goes_into_a_file_beside_the_text(check: Check) -> None:
    written("impure.py", IMPURE, WIRED)
    ran = check("impure", "--sarif", "found.sarif")
    assert ran.out.startswith("impure.py:11\tLAW03")
    assert json.loads(Path("found.sarif").read_text("utf-8"))["runs"][0]["results"][0]["ruleId"] == "LAW03"


SARIF_PROPERTIES = {
    "": {"$schema", "version", "runs"},
    "run": {"tool", "originalUriBaseIds", "columnKind", "results"},
    "result": {"ruleId", "ruleIndex", "level", "message", "locations", "suppressions"},
    "rule": {"id", "shortDescription", "fullDescription", "defaultConfiguration"},
}
"""What the published schema knows of each object, as far as we write it: it allows nothing else."""


def test_sarif_holds_nothing_that_its_schema_does_not_know(check: Check) -> None:
    written("impure.py", IMPURE, WIRED)
    document = check("impure", "--sarif").json
    (made,) = document["runs"]
    assert set(document) <= SARIF_PROPERTIES[""]
    assert set(made) <= SARIF_PROPERTIES["run"]
    assert set(made["results"][0]) <= SARIF_PROPERTIES["result"]
    assert set(made["tool"]["driver"]["rules"][0]) <= SARIF_PROPERTIES["rule"]


# Bad input: one clear sentence each, and exit code 2.

BAD: list[tuple[str, tuple[str, ...], str]] = [
    ("", ("nowhere.flows",), "module nowhere.flows can't be imported (ModuleNotFoundError: No module named 'nowhere')"),
    ("", ("nowhere.py",), "there is no file nowhere.py; name a .py file that is there"),
    ("", (), "no modules are named; name them, or write modules"),
    ("x = ", ("bad.py",), "can't be loaded: invalid syntax"),
    ("x = 1 / 0", ("bad.py",), "module bad.py can't be imported (ZeroDivisionError: division by zero)"),
    ("raise SystemExit(3)", ("bad",), "module bad can't be imported (SystemExit: 3)"),
    (
        "x = 1",
        ("bad",),
        "module bad has no wiring, no process, no aggregate, no projector and no test; define wire_production",
    ),
    ("def wire_production(settings): return 5", ("bad",), "bad.wire_production returned int; return a Wiring"),
    (
        "def wire_production(settings): raise KeyError('SHOP_TOKEN')",
        ("bad",),
        "bad.wire_production raised KeyError: 'SHOP_TOKEN'; mend it, or check the other wiring: --wiring testing",
    ),
    (
        "from procession import Wiring\ndef wire_production(settings): return Wiring((int,), ())",
        ("bad",),
        "bad.wire_production names int as a process, which is no process manager; name classes that derive",
    ),
    (
        "from procession import *\ndef wire_production(settings): return Wiring((ProcessManager,), ())",
        ("bad",),
        "bad.wire_production names ProcessManager as a process, which is no process manager",
    ),
    (
        "from procession import Gateway, Wiring\ndef wire_production(settings): return Wiring((), (Gateway,))",
        ("bad",),
        "bad.wire_production names Gateway as a gateway, which is none; give one instance",
    ),
    (
        "from procession import Wiring\ndef wire_production(settings): return Wiring((), (), (3,))",
        ("bad",),
        "bad.wire_production names 3 as an event, which is none; name event classes",
    ),
    (
        "from procession import Wiring\ndef wire_production(settings): return Wiring((), (), (), (len,))",
        ("bad",),
        "bad.wire_production names <built-in function len> as an invariant, which is none",
    ),
    ("", ("--sarif", "bad"), "--sarif bad names no file that ends in .sarif or .json; write --sarif FILE.sarif"),
    ("", ("--sarif", "-", "bad", "--json"), "--json and --sarif both write to standard output; give --sarif a file"),
]


@pytest.mark.parametrize(("text", "arguments", "sentence"), BAD, ids=[each[2][:60] for each in BAD])
def test_bad_input_is_refused_with_one_sentence(
    check: Check, text: str, arguments: tuple[str, ...], sentence: str
) -> None:
    written("bad.py", text)
    ran = check(*arguments)
    said = ran.json["error"] if "--json" in arguments else ran.err
    assert (ran.code, sentence in said) == (2, True), said
    assert said.count("\n") <= 1


def test_a_wiring_that_is_asked_for_and_not_there_is_refused(check: Check) -> None:
    written("orders.py", CLEAN, WIRED)
    ran = check("orders", "--wiring", "testing")
    assert (ran.code, "module orders has no wire_testing" in ran.err) == (2, True)


def test_the_command_needs_no_configuration(tmp_path: Path) -> None:
    done = run_inside("check", ROOT / "flows" / "batch_settlement.py", cwd=tmp_path)
    assert (done.code, done.err) == (0, "clean (1 process, 1 gateway, 1 invariant)\n")


# With the turns of a journal.


def test_the_turns_of_a_journal_run_again_elsewhere(tmp_path: Path) -> None:
    journal = tmp_path / "demo.db"
    run_inside("demo", "--flows", "4", "--fast", "--config", CONFIG, "--journal", journal, cwd=tmp_path)
    done = run_inside(
        "check", "flows.order_fulfilment", "--shadow", journal, "--limit", "2", "--config", CONFIG, cwd=tmp_path
    )
    assert (done.code, done.out) == (0, "")
    assert done.err.startswith("clean")


def test_a_journal_that_is_not_there_is_refused(tmp_path: Path) -> None:
    done = run_inside("check", "flows.order_fulfilment", "--shadow", "none.db", "--config", CONFIG, cwd=tmp_path)
    assert done.code == 3
    assert "name a journal by --shadow JOURNAL" in done.err


def test_a_limit_below_zero_is_refused(tmp_path: Path) -> None:
    done = run_inside("check", "--limit", "-1", "--config", CONFIG, cwd=tmp_path)
    assert done.code == 2
    assert "--limit -1 is less than 0" in done.err


# With the schemas on record.


def test_schemas_on_record_are_clean_and_one_that_changed_is_found(check: Check, tmp_path: Path) -> None:
    module = written("shop.py", CLEAN, WIRED, WIRED.replace("production", "testing"))
    assert cli.main(["schemas", module, "--write"]) == 0
    clean = check(module)
    file = tmp_path / "schemas.json"
    file.write_text(file.read_text().replace('"type": "str"', '"type": "int"'))
    changed = check(module, "--json")

    assert (clean.code, changed.code) == (0, 1)
    found = {finding["subject"]: finding for finding in changed.json["findings"]}
    assert {(finding["code"], finding["allow"]) for finding in found.values()} == {("LAW08", "")}
    assert "field order_id was int and is str" in found["OrderPlaced"]["found"]
    assert "not that of its fields" in found["checked.placed version 1"]["found"]
