"""When a cron expression is due in a time zone. The only user of cronsim."""

from __future__ import annotations

import datetime
import itertools
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from procession.errors import WiringError

try:
    from cronsim import CronSim, CronSimError
except ModuleNotFoundError as missing:
    raise ModuleNotFoundError("Cron needs the extra `cron`: pip install 'procession[cron]'") from missing

_FIELDS = 5
_CURE = "write minute, hour, day of month, month and day of week, such as '0 6 * * 1-5'"


class Schedule:
    """The occurrences of a cron expression, as Debian's cron has them, each a time in the zone.

    Where clocks go forward, a time that is skipped is due at the first moment after the gap. Where they go back, an
    expression that names hours is due once, at the first of the two; one that runs every hour or minute (a star in
    the field of hours or minutes) goes by elapsed time, through both.

    Raises:
        WiringError: the expression or the zone is none.
    """

    def __init__(self, expression: str, timezone: str) -> None:
        self.expression = " ".join(expression.split())
        self.timezone = timezone
        try:
            self.zone = ZoneInfo(timezone)
        except (ZoneInfoNotFoundError, ValueError, OSError) as error:
            cure = "name one such as Europe/Berlin; where the machine has none, install tzdata"
            raise WiringError(f"the time zone {timezone!r} is not known", cure) from error
        try:
            CronSim(self.expression, datetime.datetime(2000, 1, 1, tzinfo=datetime.UTC))
        except CronSimError as error:
            raise WiringError(f"the schedule {expression!r} is none ({error})", _CURE) from error
        # The library takes a field of seconds, too: a commit may take longer than one, so that is no schedule here.
        if len(self.expression.split()) != _FIELDS:
            raise WiringError(f"the schedule {expression!r} has seconds", _CURE)

    def after(self, moment: datetime.datetime) -> datetime.datetime | None:
        """The first occurrence after a moment; None where there is none in fifty years."""
        # Where clocks go back, what the library names next may be the first of two times, and over already.
        due = CronSim(self.expression, moment.astimezone(self.zone))
        return next((at for at in due if self._is_later(at, moment)), None)

    def between(self, after: datetime.datetime, until: datetime.datetime, at_most: int) -> list[datetime.datetime]:
        """The last occurrences after a moment and not after another, the oldest first."""
        # A microsecond later, so that the library's search backwards finds `until` itself.
        start = (until + datetime.timedelta(microseconds=1)).astimezone(self.zone)
        backwards = CronSim(self.expression, start, reverse=True)
        due = (at for at in backwards if not self._is_later(at, until))
        found = itertools.islice(itertools.takewhile(lambda at: self._is_later(at, after), due), at_most)
        # By their time in UTC: two that a gap brought to one moment are one, two of a fold are two.
        return list({at.astimezone(datetime.UTC): at for at in reversed(list(found))}.values())

    def _is_later(self, at: datetime.datetime, moment: datetime.datetime) -> bool:
        """Compared in UTC: two times of one zone are compared by what its clocks show."""
        return at.astimezone(datetime.UTC) > moment.astimezone(datetime.UTC)
