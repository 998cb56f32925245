"""`procession check`: flows, and tests of flows, against the ten laws."""

from __future__ import annotations

import argparse
import json
import os
from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import attrs
import trio

from procession.daemon.configuration import configured
from procession.daemon.exit_codes import ExitCode, NoSuchFile, UsageRefused
from procession.daemon.flow_modules import FlowModule, load_flow_module
from procession.daemon.output import Output
from procession.daemon.sarif import sarif_of
from procession.daemon.schema_files import findings_in, folders_of
from procession.engine.shadow_journal import shadow_journal
from procession.errors import DefinitionError, WiringError
from procession.journal.sqlite_reader import read_sqlite
from procession.laws.finding import Finding
from procession.laws.suppression import Suspect, finding_of, settle
from procession.laws.wiring_check import Checked, check_tests, look_at
from procession.primitives.registry import Registry
from procession.settings import Settings
from procession.wiring import Kind, combine, refuse_unwired, registry_of

_SARIF_ENDS = (".sarif", ".json")


@attrs.define
class _Report:
    """What was looked at, and what was found."""

    modules: list[str]
    flow_modules: list[FlowModule]
    findings: list[Finding]

    @property
    def open(self) -> list[Finding]:
        return [finding for finding in self.findings if not finding.allowed]

    @property
    def allowed(self) -> list[Finding]:
        return [finding for finding in self.findings if finding.allowed]

    def counts(self) -> dict[str, int]:
        wirings = [each.wiring for each in self.flow_modules]
        return {
            "processes": sum(len(wiring.processes) for wiring in wirings),
            "aggregates": sum(len(wiring.aggregates) for wiring in wirings),
            "gateways": sum(len(wiring.gateways) for wiring in wirings),
            "projectors": sum(len(wiring.projectors) for wiring in wirings),
            "invariants": sum(len(wiring.invariants) for wiring in wirings),
            "tests": sum(each.tests for each in self.flow_modules),
        }


def run(options: argparse.Namespace, output: Output) -> int:
    """Check the modules; 1 where something is found that is not allowed."""
    sarif: str | None = options.sarif
    if sarif == "-" and output.as_json:
        raise UsageRefused("--json and --sarif both write to standard output", "give --sarif a file")
    if sarif not in (None, "-") and not str(sarif).endswith(_SARIF_ENDS):
        raise UsageRefused(
            f"--sarif {sarif} names no file that ends in .sarif or .json", "write --sarif FILE.sarif, modules before it"
        )
    settings = configured(options).settings
    modules: Sequence[str] = options.modules or settings.modules
    if not modules:
        raise UsageRefused("no modules are named", 'name them, or write modules = ["flows.mine"] into the settings')
    if options.limit < 0:
        raise UsageRefused(f"--limit {options.limit} is less than 0", "give a number of flows, or 0 for all")
    report = _check(list(dict.fromkeys(modules)), settings, options.wiring)
    if not options.modules and not report.open:  # of some modules alone, others may give and take the resources
        refuse_unwired(combine([each.wiring for each in report.flow_modules if each.whole]))
    if options.shadow is not None:
        report.findings = sorted([*report.findings, *_shadow(report, options.shadow, options.limit, settings)])
    _tell(report, output, sarif)
    return ExitCode.FAILED if report.open else ExitCode.DONE


def _check(modules: list[str], settings: Settings, kind: Kind) -> _Report:
    loaded: list[FlowModule] = []
    refused: list[Suspect] = []
    for name in modules:
        try:
            loaded.append(load_flow_module(name, settings, kind))
        except DefinitionError as error:
            refused.append(Suspect(finding_of(error)))
    # Of a module that can't be loaded nobody knows what it sends and handles.
    whole = [each.wiring for each in loaded if each.whole]
    checked = [look_at(combine(whole), whole=not refused)] if whole else []
    checked += [look_at(each.wiring, whole=False) for each in loaded if not each.whole]
    checked += [check_tests(each.module) for each in loaded if each.tests]
    schemas = [Suspect(finding) for finding in _schemas(loaded)]
    return _Report(modules, loaded, _settled(checked, [*refused, *schemas]))


def _schemas(loaded: Sequence[FlowModule]) -> list[Finding]:
    """What the files of schemas beside the modules say; nothing where the modules can't work together."""
    try:
        return findings_in(folders_of([(each.module, each.wiring) for each in loaded if each.whole]))
    except (DefinitionError, WiringError):
        return []  # which is found, and told, by the checks of the wiring


def _shadow(report: _Report, journal: str, flows_max: int, settings: Settings) -> list[Finding]:
    """What differs when the turns of a journal run again; of the modules that have a wiring."""
    if not os.path.lexists(journal):
        raise NoSuchFile(journal, "name a journal by --shadow JOURNAL")
    wiring = combine([each.wiring for each in report.flow_modules if each.whole])
    if not wiring.processes:
        raise UsageRefused("--shadow has no wired process to run", "name a module that has a wiring")
    registry = registry_of(wiring)
    return trio.run(_replay, journal, registry, flows_max, settings.flows.effects_per_turn_max)


async def _replay(journal: str, registry: Registry, flows_max: int, effects_max: int) -> list[Finding]:
    reader = await read_sqlite(journal)
    try:
        return await shadow_journal(reader, registry, flows_max=flows_max, effects_max=effects_max)
    finally:
        await reader.close()


def _settled(checked: Sequence[Checked], others: Sequence[Suspect]) -> list[Finding]:
    """All findings; an allowance may be used by any of the checks."""
    suspects = [suspect for each in checked for suspect in each.suspects]
    return settle([*suspects, *others], [thing for each in checked for thing in each.things])


def _tell(report: _Report, output: Output, sarif: str | None) -> None:
    if sarif is not None:
        document = sarif_of(report.findings, _version(), Path.cwd())
        if sarif == "-":
            output.line(json.dumps(document, ensure_ascii=False, indent=2))
            return
        Path(sarif).write_text(json.dumps(document, ensure_ascii=False, indent=2) + "\n", "utf-8")
    if output.as_json:
        output.json(
            {
                "clean": not report.open,
                "findings": [_as_json(finding) for finding in report.open],
                "allowed": [_as_json(finding) | {"reason": finding.allowed} for finding in report.allowed],
                "modules": report.modules,
                **report.counts(),
            }
        )
        return
    for finding in report.open:
        _print(finding, output)
    counts = ", ".join(_counted(number, what) for what, number in report.counts().items() if number)
    allowed = f"; {len(report.allowed)} allowed, with a reason" if report.allowed else ""
    found = _counted(len(report.open), "findings") if report.open else "clean"
    output.say(f"{found}{allowed} ({counts or 'nothing could be loaded'})")


def _counted(number: int, what: str) -> str:
    """`1 process`, `4 processes`."""
    one = what.removesuffix("es") if what.endswith("sses") else what.removesuffix("s")
    return f"{number:,} {one if number == 1 else what}"


def _print(finding: Finding, output: Output) -> None:
    if not output.on_terminal:
        place = f"{_place(finding.path)}:{finding.line}"
        row = (place, finding.code, finding.subject, finding.found, finding.cure, _how_to_allow(finding))
        output.table((), [row])
        return
    code = output.styled(finding.code, "red")
    output.line(f"{_place(finding.path)}:{finding.line}: {code} {output.cell(f'{finding.subject} {finding.found}')}")
    output.line(f"    cure:  {output.cell(finding.cure)}")
    if finding.allowable:
        output.line(f"    allow: {_how_to_allow(finding)}")


def _as_json(finding: Finding) -> dict[str, object]:
    return {
        "code": finding.code,
        "path": _place(finding.path),
        "line": finding.line,
        "subject": finding.subject,
        "found": finding.found,
        "cure": finding.cure,
        "allow": _how_to_allow(finding),
    }


def _how_to_allow(finding: Finding) -> str:
    return f'@allows("{finding.code}", reason="...") above {finding.subject}' if finding.allowable else ""


def _place(path: str) -> str:
    """A file as seen from here."""
    place = Path(path)
    return str(place.relative_to(Path.cwd())) if place.is_relative_to(Path.cwd()) else path


def _version() -> str:
    try:
        return version("procession")
    except PackageNotFoundError:
        return "unknown"
