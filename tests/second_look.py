"""After a whole run of tests that failed: one or two failures are looked at again, each three times by itself.

A test that runs real processes and clocks beside five thousand others on two processors may fail because it waited too
short. It passes alone, then, and is named for its cure. CPython's own runner runs failed tests again for that reason
(`python -m test --rerun`). What fails again has failed, and so has a test marked `searches`: what that looks for may
come once in a thousand runs, and three that pass say nothing against one that failed.

Run from the project's folder, with the Python that ran the tests: `python -m tests.second_look EXIT_CODE [FILE]`; the
names of tests that passed alone are added to that file.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

LOOKS = 3
TESTS_MAX = 2
_FAILED = 1
_NONE_SELECTED = 5


def _say(text: str) -> None:
    sys.stderr.write(f"second look: {text}\n")


def _pytest(*arguments: str) -> int:
    return subprocess.run([sys.executable, "-m", "pytest", "-q", *arguments], check=False).returncode


def look_again(code: int, failed: list[str]) -> str:
    """Run the failed tests again. Returns why that changes nothing, or "" where each passed each time.

    Args:
        code: the exit code of the run in which they failed.
        failed: their node ids.
    """
    if code != _FAILED:
        return f"the run did not end (exit code {code}): what it left out can't be looked at again"
    if not 0 < len(failed) <= TESTS_MAX:
        return f"{len(failed)} tests failed: up to {TESTS_MAX} are looked at again"
    if (found := _pytest("--collect-only", "-m", "searches", *failed)) != _NONE_SELECTED:
        return f"a test that searches has failed, which counts at once (exit code {found} of its collection)"
    for look in range(1, LOOKS + 1):
        _say(f"{look} of {LOOKS}, at {', '.join(failed)}")
        if again := _pytest("-m", "", *failed):
            return f"failed again at look {look}, alone (exit code {again})"
    return ""


def main(arguments: list[str]) -> int:
    """Returns the code to exit with: 0, or that of the run."""
    code = int(arguments[0])
    cache = Path(".pytest_cache/v/cache/lastfailed")
    failed = sorted(json.loads(cache.read_text("utf-8"))) if cache.exists() else []
    if why := look_again(code, failed):
        _say(why)
        return code
    _say(f"failed beside others, passed {LOOKS} of {LOOKS} alone: {', '.join(failed)}")
    for path in arguments[1:]:
        with Path(path).open("a", encoding="utf-8") as file:
            file.writelines(f"{name}\n" for name in failed)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
