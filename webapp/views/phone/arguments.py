"""What a voice agent puts into `args`, read liberally: other names for the same thing, numbers for
text, dates in several spellings. What can't be understood ends in a question, never in a guess."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from webapp.calcom import untrusted
from webapp.sync.customers import InvalidEmail, InvalidPhone, clean_email, clean_phone
from webapp.sync.phone.callers import Caller
from webapp.sync.phone.diary import Pointer
from webapp.sync.phone.outcomes import Reason, objection
from webapp.views.access import LARGEST_ID
from webapp.views.local_time import TimeDoesNotExist, instant_of
from webapp.views.phone.moments import read_day, read_moment, read_time
from webapp.views.phone.requests import PhoneRequest

LONGEST = 200
LONGEST_REASON = 500
FURTHEST = timedelta(days=730)
UNREADABLE = "?"
NO_ID = -1
"""An id that no appointment has: what was said was none, and must not be overheard."""

# The documented name first.
SERVICE = ("service", "service_name")
DAY = ("date", "day")
TIME = ("time",)
START = ("start", "starts_at", "datetime", "start_time")
NEW_DAY = ("new_date", "new_day", *DAY)
NEW_TIME = ("new_time", *TIME)
NEW_START = ("new_start", "new_starts_at", "new_datetime", *START)
OLD_DAY = ("current_date", "old_date")
OLD_TIME = ("current_time", "old_time")
OLD_START = ("current_start", "old_start")
NAME = ("customer_name", "name")
EMAIL = ("customer_email", "email")
PHONE = ("customer_phone", "phone", "phone_number")
REASON = ("reason", "notes", "note")
APPOINTMENT = ("appointment_id", "id")


@dataclass(frozen=True, slots=True)
class Moment:
    """A day, a time of day, or both, on the company's clock."""

    day: date | None
    at: time | None


class Arguments:
    """The arguments of one request, on the clock of its company."""

    def __init__(self, request: PhoneRequest, zone: ZoneInfo, now: datetime) -> None:
        self._request = request
        self._args: Mapping[str, object] = request.args
        self._zone = zone
        self._now = now

    @property
    def service(self) -> str:
        return self._text(SERVICE)

    @property
    def reason(self) -> str:
        return self._text(REASON, LONGEST_REASON)

    def caller(self) -> Caller:
        """Who calls; raises Objection for an e-mail or a number that is none."""
        try:
            email, phone = clean_email(self._text(EMAIL)), clean_phone(self._text(PHONE))
        except InvalidEmail:
            raise objection(Reason.EMAIL_UNCLEAR) from None
        except InvalidPhone:
            raise objection(Reason.PHONE_UNCLEAR) from None
        request = self._request
        return Caller(
            call_id=request.call_id,
            number=request.number,
            name=self._text(NAME),
            email=email,
            phone=phone,
        )

    def wanted(self) -> Moment:
        """When it shall be, as far as it was said."""
        return self._moment(START, DAY, TIME)

    def wanted_start(self) -> datetime:
        """The instant to book; raises Objection where day or time is missing."""
        return self.instant(self.wanted())

    def new_start(self) -> datetime:
        """The instant to move to."""
        return self.instant(self._moment(NEW_START, NEW_DAY, NEW_TIME))

    def pointer(self, *, is_moving: bool) -> Pointer:
        """Which appointment is meant; for a cancellation plain `date` and `time` say so too."""
        moment = (
            self._moment(OLD_START, OLD_DAY, OLD_TIME)
            if is_moving
            else self._moment((*OLD_START, *START), (*OLD_DAY, *DAY), (*OLD_TIME, *TIME))
        )
        return Pointer(
            appointment_id=self._id(), day=moment.day, at=moment.at, service=self.service
        )

    def instant(self, moment: Moment) -> datetime:
        """The instant of a whole moment; raises Objection for what can't be or is too far off."""
        if moment.day is None:
            raise objection(Reason.DATE_MISSING)
        if moment.at is None:
            raise objection(Reason.TIME_MISSING, wanted_day=moment.day)
        self.refuse_far(moment.day)
        try:
            return instant_of(moment.day, moment.at, self._zone)
        except TimeDoesNotExist:
            raise objection(Reason.TIME_SKIPPED, wanted_day=moment.day) from None

    def refuse_far(self, day: date) -> None:
        """Raises Objection for a day behind us, or years ahead."""
        if day < self.today:
            raise objection(Reason.IN_PAST, wanted_day=day)
        if day > self.today + FURTHEST:
            raise objection(Reason.TOO_FAR, wanted_day=day)

    @property
    def today(self) -> date:
        return self._now.astimezone(self._zone).date()

    def _moment(
        self, start_names: tuple[str, ...], day_names: tuple[str, ...], time_names: tuple[str, ...]
    ) -> Moment:
        start, day, at = map(self._text, (start_names, day_names, time_names))
        whole = read_moment(start or day, self._zone) or (not day and read_moment(at, self._zone))
        if whole:
            return Moment(*whole)
        day = day or start
        return Moment(self._day(day), self._time(at))

    def _day(self, text: str) -> date | None:
        day = read_day(text, self.today)
        if text and day is None:
            raise objection(Reason.DATE_UNCLEAR)
        return day

    def _time(self, text: str) -> time | None:
        at = read_time(text)
        if text and at is None:
            raise objection(Reason.TIME_UNCLEAR)
        return at

    def _id(self) -> int | None:
        text = self._text(APPOINTMENT).lstrip("#")
        if not text:
            return None
        is_number = text.isascii() and text.isdigit() and len(text) <= 19
        return int(text) if is_number and int(text) <= LARGEST_ID else NO_ID

    def _text(self, names: tuple[str, ...], limit: int = LONGEST) -> str:
        """The first of these arguments that says something, be it something unreadable: what was
        said must not pass for what wasn't."""
        for name in names:
            value = self._args.get(name)
            whole = untrusted.integer(value)
            if whole is not None:
                return str(whole)
            if isinstance(value, str):
                text = untrusted.line(value, limit)
            else:
                text = UNREADABLE if value else ""
            if text:
                return text
        return ""
