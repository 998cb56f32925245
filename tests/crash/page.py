"""The table of docs/crash_lab.md, made of the report of a night, and its place in the page."""

from __future__ import annotations

from tests.crash.report import Report

BEGIN = "<!-- made by `python -m tests.crash.night --page docs/crash_lab.json --into docs/crash_lab.md` -->"
END = "<!-- end of what was made -->"


def table(report: Report) -> str:
    """What was run, and what was counted."""
    breaches = len(report.breaches)
    lines = [
        f"{report.about}{', broken off' if report.broken_off else ''}: {breaches or 'no'} breaches.",
        "",
        "| harness | promises | what was counted | s | command, after `python -m` |",
        "|---|---|---|---|---|",
    ]
    for one in report.outcomes:
        broken = f"; **{len(one.breaches)} breaches**" if one.breaches else ""
        command = " ".join(one.command)
        lines.append(
            f"| {one.name} | {', '.join(one.promises)} | {one.counted}{broken} | {one.seconds:.0f} | `{command}` |"
        )
    return "\n".join(lines)


def put_in(page: str, text: str) -> str:
    """The page with this between its marks."""
    before, _, rest = page.partition(BEGIN)
    _, _, after = rest.partition(END)
    assert rest, f"the page has no place for it: {BEGIN}"
    return f"{before}{BEGIN}\n\n{text}\n\n{END}{after}"


def made_part(page: str) -> str:
    """What stands between the marks."""
    return page.partition(BEGIN)[2].partition(END)[0].strip()
