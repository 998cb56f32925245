"""The measurements work, on tiny sizes; their figures mean nothing here."""

from __future__ import annotations

import pytest

from tests.bench.run import MEASUREMENTS, main


@pytest.mark.bench
@pytest.mark.timeout(60)
@pytest.mark.parametrize("name", MEASUREMENTS)
def test_a_measurement_prints_its_table(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    main([name, "--rounds", "1", "--flows", "200"])
    assert f"{name}: " in capsys.readouterr().out
