"""A harness that does as it is told, for the tests of the night.

python -m tests.crash.stand_in well --seed 1 --json FILE
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import time
from pathlib import Path

from tests.crash.counts import Counts, add_arguments, hand_out


def main() -> int:
    parser = argparse.ArgumentParser(description="Do as told.")
    parser.add_argument("how", choices=["well", "broken", "dies", "hangs"])
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--counts", type=int, help="else the seed")
    parser.add_argument("--started", type=Path, help="for the number of a process that it starts")
    add_arguments(parser)
    given = parser.parse_args()
    if given.started:
        other = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
        given.started.write_text(str(other.pid))
    if given.how == "hangs":
        time.sleep(60)
    if given.how == "dies":
        raise RuntimeError("it is told to")
    breaches = ["what was promised is not so"] if given.how == "broken" else []
    return hand_out(given, Counts({"seeds": given.seed if given.counts is None else given.counts}, breaches))


if __name__ == "__main__":
    sys.exit(main())
