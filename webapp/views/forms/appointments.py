"""Booking, moving, editing and cancelling; dismissing a finding; saved views of the list."""

import re
from datetime import datetime
from typing import Any

from flask_babel import lazy_gettext as _l
from wtforms import (
    Field,
    Form,
    SelectField,
    StringField,
    TextAreaField,
)
from wtforms.validators import DataRequired, Optional, ValidationError

from webapp.sync.customers import InvalidEmail, clean_email
from webapp.views.access import company_zone
from webapp.views.formats import instant_from
from webapp.views.forms.fields import (
    LONGEST_EMAIL,
    LONGEST_NAME,
    LONGEST_NOTES,
    LONGEST_PHONE,
    LONGEST_REASON,
    REQUIRED,
    no_longer_than,
    stripped,
)
from webapp.views.local_time import TimeDoesNotExist, instant_of, parse_day, parse_time

LONGEST_GUESTS = 4000
MOST_GUESTS = 30
LONGEST_VIEW_NAME = 60


class TimeForm(Form):
    """A day and a time on the company's clock; `starts_at` is their instant once validated."""

    day = StringField(_l("Date"), [REQUIRED])
    time = StringField(_l("Time"), [REQUIRED])
    starts_at: datetime | None = None

    def validate_day(self, field: Field) -> None:
        if parse_day(field.data) is None:
            raise ValidationError(_l("This is not a date. Example: 2026-11-20"))

    def validate_time(self, field: Field) -> None:
        at, day = parse_time(field.data), parse_day(self.day.data or "")
        if at is None:
            raise ValidationError(_l("This is not a time. Example: 14:30"))
        if day is None:
            return
        try:
            self.starts_at = instant_of(day, at, company_zone())
        except TimeDoesNotExist:
            raise ValidationError(
                _l("On this day the clocks are put forward and skip this time. Choose another.")
            ) from None


class SlotForm(TimeForm):
    """A day and a time, or a free time that was chosen and stands for both."""

    slot = StringField(default="")
    """As an instant: it says more than a time that comes twice."""

    def validate(self, extra_validators: Any = None) -> bool:
        chosen = instant_from(self.slot.data) if self.slot.data else None
        if chosen is not None:
            local = chosen.astimezone(company_zone())
            self.day.data, self.time.data = f"{local:%Y-%m-%d}", f"{local:%H:%M}"
        is_valid = bool(super().validate(extra_validators))
        if chosen is not None and self.starts_at is not None:
            self.starts_at = chosen
        return is_valid


class BookingForm(SlotForm):
    """A new appointment, for a customer on file or a new one."""

    customer = StringField(_l("Customer"), [REQUIRED], default="new")
    name = StringField(_l("Name"), [no_longer_than(LONGEST_NAME)], filters=[stripped])
    email = StringField(_l("E-mail"), [no_longer_than(LONGEST_EMAIL)], filters=[stripped])
    phone = StringField(_l("Phone"), [no_longer_than(LONGEST_PHONE)], filters=[stripped])
    service = SelectField(_l("Service"), [DataRequired(_l("Choose a service."))])
    guests = TextAreaField(_l("Guests"), [Optional(), no_longer_than(LONGEST_GUESTS)])
    notes = TextAreaField(_l("Notes"), [Optional(), no_longer_than(LONGEST_NOTES)])

    @property
    def guest_list(self) -> list[str]:
        return parse_guests(self.guests.data or "")

    def validate_guests(self, field: Field) -> None:
        _check_guests(field.data or "")

    @property
    def is_for_new_customer(self) -> bool:
        return bool(self.customer.data == "new")

    def validate_name(self, field: Field) -> None:
        if self.is_for_new_customer and not field.data:
            raise ValidationError(_l("A new customer needs a name."))

    def validate_email(self, field: Field) -> None:
        if self.is_for_new_customer and not field.data and not self.phone.data:
            raise ValidationError(_l("Enter an e-mail address or a phone number."))


class EditForm(SlotForm):
    """An appointment as it is to be; `confirmed` is what the reader was told that it brings, `seen`
    the version that the reader began with."""

    service = SelectField(_l("Service"), [DataRequired(_l("Choose a service."))])
    guests = TextAreaField(_l("Guests"), [Optional(), no_longer_than(LONGEST_GUESTS)])
    notes = TextAreaField(_l("Notes"), [Optional(), no_longer_than(LONGEST_NOTES)])
    confirmed = StringField(default="")
    seen = StringField(default="")

    def validate_guests(self, field: Field) -> None:
        _check_guests(field.data or "")

    @property
    def guest_list(self) -> list[str]:
        return parse_guests(self.guests.data or "")


class ReschedulingForm(SlotForm):
    reason = StringField(_l("Reason"), [Optional(), no_longer_than(LONGEST_REASON)])


class ViewForm(Form):
    """The name of a saved view."""

    name = StringField(
        _l("Name"), [REQUIRED, no_longer_than(LONGEST_VIEW_NAME)], filters=[stripped]
    )


class ReasonForm(Form):
    """What both forms below have in common."""

    reason: StringField


class DismissalForm(ReasonForm):
    reason = StringField(
        _l("Reason"),
        [
            DataRequired(_l("Give a reason; your colleagues read it.")),
            no_longer_than(LONGEST_REASON),
        ],
        filters=[stripped],
    )


class CancellationForm(ReasonForm):
    reason = StringField(
        _l("Reason"),
        [
            DataRequired(_l("Give a reason; the customer reads it.")),
            no_longer_than(LONGEST_REASON),
        ],
        filters=[stripped],
    )


def parse_guests(text: str) -> list[str]:
    """The addresses in a text field, one a line or with commas between; each once, as typed.

    Raises InvalidEmail.
    """
    parts = [part for part in re.split(r"[\s,;]+", text) if part]
    found = [email for part in parts if (email := clean_email(part)) is not None]
    return list(dict.fromkeys(found))


def _check_guests(text: str) -> None:
    try:
        guests = parse_guests(text)
    except InvalidEmail:
        raise ValidationError(_l("One of these is not an e-mail address.")) from None
    if len(guests) > MOST_GUESTS:
        raise ValidationError(_l("At most %(max)d guests.", max=MOST_GUESTS))
