"""How days, times and lists are said aloud, in the company's language and on its clock."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time
from zoneinfo import ZoneInfo

from babel.dates import format_date, format_time
from babel.lists import format_list

from webapp.views.words import gettext as _

SPOKEN = 4
"""More times than that nobody keeps in mind."""


@dataclass(frozen=True, slots=True)
class Voice:
    """Speaks in a language (`de`, `en`) and a zone; says the year only where it isn't this one."""

    language: str
    zone: ZoneInfo
    today: date

    def moment(self, instant: datetime) -> str:
        """`Dienstag, den 3. März um 9 Uhr 30`; `Tuesday, 3 March at 9:30 am`."""
        local = instant.astimezone(self.zone)
        return _("%(day)s at %(time)s", day=self.day(local.date()), time=self.time(local.time()))

    def day(self, day: date) -> str:
        pattern = "EEEE, 'den' d. MMMM" if self.language == "de" else "EEEE, d MMMM"
        year = "" if day.year == self.today.year else " y"
        return format_date(day, pattern + year, locale=self.language)

    def time(self, at: time) -> str:
        if self.language == "de":
            return f"{at.hour} Uhr {at.minute:02}" if at.minute else f"{at.hour} Uhr"
        pattern = "h:mm a" if at.minute else "h a"
        return format_time(at, pattern, locale=self.language).lower()

    def either(self, parts: Iterable[str]) -> str:
        """`A, B oder C`."""
        return format_list(list(parts), "or", locale=self.language)

    def all_of(self, parts: Iterable[str]) -> str:
        """`A, B und C`."""
        return format_list(list(parts), "standard", locale=self.language)

    def times(self, starts: Sequence[datetime]) -> str:
        """Some of these times; of one day without repeating the day."""
        chosen = spread(starts, SPOKEN)
        days = {start.astimezone(self.zone).date() for start in chosen}
        if len(days) > 1:
            return self.either(self.moment(start) for start in chosen)
        clock = self.either(self.time(start.astimezone(self.zone).time()) for start in chosen)
        return _("%(day)s at %(time)s", day=self.day(days.pop()), time=clock)


def spread(starts: Sequence[datetime], most: int) -> list[datetime]:
    """The first, the last and some between them: not only the morning's."""
    if len(starts) <= most:
        return list(starts)
    step = (len(starts) - 1) / (most - 1)
    return [starts[round(number * step)] for number in range(most)]
