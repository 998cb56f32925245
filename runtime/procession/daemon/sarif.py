"""Findings as SARIF 2.1.0, which code hosts and editors show beside the code."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from procession.laws.codes import RULES
from procession.laws.finding import Finding

SCHEMA = "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"


def sarif_of(findings: Sequence[Finding], version: str, folder: Path) -> dict[str, object]:
    """One run of the check.

    Args:
        findings: allowed ones too; those are suppressed, with their reason.
        version: of procession.
        folder: files below it are named from it; others by their full address.
    """
    rules = list(RULES.values())
    places = {rule.code: number for number, rule in enumerate(rules)}
    driver = {
        "name": "procession check",
        "version": version,
        "rules": [
            {
                "id": rule.code,
                "shortDescription": {"text": rule.title},
                "fullDescription": {"text": f"{rule.title}. Checked: {rule.checked}."},
                "defaultConfiguration": {"level": "error"},
            }
            for rule in rules
        ],
    }
    run = {
        "tool": {"driver": driver},
        "originalUriBaseIds": {"ROOT": {"uri": f"{folder.resolve().as_uri()}/"}},
        "columnKind": "unicodeCodePoints",
        "results": [_result(finding, places[finding.code], folder.resolve()) for finding in findings],
    }
    return {"$schema": SCHEMA, "version": "2.1.0", "runs": [run]}


def _result(finding: Finding, number: int, folder: Path) -> dict[str, object]:
    result: dict[str, object] = {
        "ruleId": finding.code,
        "ruleIndex": number,
        "level": "error",
        "message": {"text": f"{finding.subject} {finding.found}. Cure: {finding.cure}."},
        "locations": [
            {
                "physicalLocation": {
                    "artifactLocation": _artifact(finding.path, folder),
                    "region": {"startLine": max(1, finding.line)},
                },
                "logicalLocations": [{"fullyQualifiedName": finding.subject}],
            }
        ],
    }
    if finding.allowed:
        result["suppressions"] = [{"kind": "inSource", "status": "accepted", "justification": finding.allowed}]
    return result


def _artifact(path: str, folder: Path) -> dict[str, object]:
    place = Path(path)
    if not place.is_absolute():
        return {"uri": place.as_posix(), "uriBaseId": "ROOT"}
    if place.is_relative_to(folder):
        # As an address: a blank or umlaut in a name is written with %.
        address = place.as_uri().removeprefix(f"{folder.as_uri()}/")
        return {"uri": address, "uriBaseId": "ROOT"}
    return {"uri": place.as_uri()}
