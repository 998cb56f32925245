"""Every planted breach, in one table: each layer says of each whether it finds it."""

from __future__ import annotations

from tests.laws.planted.breach import Breach
from tests.laws.planted.chance import CHANCE
from tests.laws.planted.decisions import DECISIONS
from tests.laws.planted.definitions import DEFINITIONS
from tests.laws.planted.projections import PROJECTIONS
from tests.laws.planted.routes import ROUTES
from tests.laws.planted.shared import SHARED
from tests.laws.planted.unit_tests import UNIT_TESTS
from tests.laws.planted.work import WORK

PLANTED: tuple[Breach, ...] = (*CHANCE, *WORK, *ROUTES, *SHARED, *DEFINITIONS, *DECISIONS, *UNIT_TESTS, *PROJECTIONS)
