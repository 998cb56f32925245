"""A process that serves walks seldom over what lasts."""

from __future__ import annotations

import subprocess
import sys

_SCRIPT = """
import gc
from procession.daemon.collecting import collect_seldom

lasting = [[number] for number in range(50_000)]
collect_seldom()
seen = []
gc.callbacks.append(lambda phase, info: seen.append(phase))
young = [[number] for number in range(5_000)]
print(len(seen), len(gc.get_objects()) < 50_000)
ring = []
ring.append(ring)
del ring
print(gc.collect() > 0)
"""


def test_what_is_there_when_a_service_is_ready_is_not_walked_over_again_and_garbage_is_still_found() -> None:
    done = subprocess.run([sys.executable, "-c", _SCRIPT], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["0", "True", "True"]
