"""The forms that hold more than a button: their fields, and what is wrong with what was typed."""

import re
from datetime import datetime
from decimal import Decimal
from typing import Any
from zoneinfo import available_timezones

from flask_babel import LazyString
from flask_babel import lazy_gettext as _l
from wtforms import (
    BooleanField,
    Field,
    Form,
    PasswordField,
    SelectField,
    SelectMultipleField,
    StringField,
    TextAreaField,
)
from wtforms.validators import AnyOf, DataRequired, EqualTo, Length, Optional, ValidationError

from webapp.models.api_token import Scope
from webapp.models.company import FieldPolicy, UnclaimedPolicy
from webapp.models.user import MIN_PASSWORD_LENGTH, Role
from webapp.sync.customers import InvalidEmail, clean_email
from webapp.views.access import company_zone
from webapp.views.formats import instant_from
from webapp.views.local_time import TimeDoesNotExist, instant_of, parse_day, parse_time

LONGEST_NAME = 200
LONGEST_EMAIL = 254
LONGEST_PHONE = 40
LONGEST_NOTES = 4000
LONGEST_GUESTS = 4000
MOST_GUESTS = 30
LONGEST_REASON = 500
LONGEST_PASSWORD = 1024
LONGEST_CHANNEL_NAME = 100
LONGEST_ADDRESS = 1000
LONGEST_TOKEN_NAME = 100
MINUTES_OF_A_DAY = 1440
LONGEST_VIEW_NAME = 60

TOKEN_LIVES: dict[str, LazyString] = {
    "30": _l("in 30 days"),
    "90": _l("in 90 days"),
    "365": _l("in a year"),
    "never": _l("never"),
}
"""Days until an API token expires."""

_REQUIRED = DataRequired(_l("This is needed."))


def _stripped(text: str | None) -> str | None:
    return text.strip() if text else text


def _no_longer_than(characters: int) -> Length:
    return Length(max=characters, message=_l("At most %(max)d characters."))


def _one_of(*values: str) -> AnyOf:
    return AnyOf(values, message=_l("Choose one of these."))


class LoginForm(Form):
    email = StringField(_l("E-mail"), [_REQUIRED], filters=[_stripped])
    password = PasswordField(_l("Password"), [_REQUIRED])


class TimeForm(Form):
    """A day and a time on the company's clock; `starts_at` is their instant once validated."""

    day = StringField(_l("Date"), [_REQUIRED])
    time = StringField(_l("Time"), [_REQUIRED])
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

    customer = StringField(_l("Customer"), [_REQUIRED], default="new")
    name = StringField(_l("Name"), [_no_longer_than(LONGEST_NAME)], filters=[_stripped])
    email = StringField(_l("E-mail"), [_no_longer_than(LONGEST_EMAIL)], filters=[_stripped])
    phone = StringField(_l("Phone"), [_no_longer_than(LONGEST_PHONE)], filters=[_stripped])
    service = SelectField(_l("Service"), [DataRequired(_l("Choose a service."))])
    guests = TextAreaField(_l("Guests"), [Optional(), _no_longer_than(LONGEST_GUESTS)])
    notes = TextAreaField(_l("Notes"), [Optional(), _no_longer_than(LONGEST_NOTES)])

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
    guests = TextAreaField(_l("Guests"), [Optional(), _no_longer_than(LONGEST_GUESTS)])
    notes = TextAreaField(_l("Notes"), [Optional(), _no_longer_than(LONGEST_NOTES)])
    confirmed = StringField(default="")
    seen = StringField(default="")

    def validate_guests(self, field: Field) -> None:
        _check_guests(field.data or "")

    @property
    def guest_list(self) -> list[str]:
        return parse_guests(self.guests.data or "")


class ReschedulingForm(SlotForm):
    reason = StringField(_l("Reason"), [Optional(), _no_longer_than(LONGEST_REASON)])


class ViewForm(Form):
    """The name of a saved view."""

    name = StringField(
        _l("Name"), [_REQUIRED, _no_longer_than(LONGEST_VIEW_NAME)], filters=[_stripped]
    )


class ReasonForm(Form):
    """What both forms below have in common."""

    reason: StringField


class DismissalForm(ReasonForm):
    reason = StringField(
        _l("Reason"),
        [
            DataRequired(_l("Give a reason; your colleagues read it.")),
            _no_longer_than(LONGEST_REASON),
        ],
        filters=[_stripped],
    )


class CancellationForm(ReasonForm):
    reason = StringField(
        _l("Reason"),
        [
            DataRequired(_l("Give a reason; the customer reads it.")),
            _no_longer_than(LONGEST_REASON),
        ],
        filters=[_stripped],
    )


class PoliciesForm(Form):
    """What a company decides; the page has the words for it."""

    start_policy = StringField(validators=[_one_of(*FieldPolicy)])
    status_policy = StringField(validators=[_one_of(*FieldPolicy)])
    unclaimed_policy = StringField(validators=[_one_of(*UnclaimedPolicy)])
    managers_settle = StringField(validators=[_one_of("yes", "no")])


class ConfirmedForm(Form):
    """A form that is only taken together with the reader's own password (`reauthentication`)."""

    current = PasswordField(_l("Current password"), [_REQUIRED])


class TokenForm(ConfirmedForm):
    """A new API token."""

    name = StringField(
        _l("What it is for"), [_REQUIRED, _no_longer_than(LONGEST_TOKEN_NAME)], filters=[_stripped]
    )
    scopes = SelectMultipleField(_l("What it may do"), validate_choice=False)
    expiry = SelectField(_l("Expires"), default="365", validate_choice=False)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.expiry.choices = list(TOKEN_LIVES.items())

    @property
    def days(self) -> int | None:
        """Until it expires; None: never."""
        return None if self.expiry.data == "never" else int(self.expiry.data)

    def validate_scopes(self, field: Field) -> None:
        if not field.data or not set(field.data) <= set(Scope):
            raise ValidationError(_l("Choose at least one."))

    def validate_expiry(self, field: Field) -> None:
        if field.data not in TOKEN_LIVES:
            raise ValidationError(_l("Choose one of these."))


class ChannelForm(ConfirmedForm):
    """A new chat channel."""

    name = StringField(
        _l("Name"), [_REQUIRED, _no_longer_than(LONGEST_CHANNEL_NAME)], filters=[_stripped]
    )
    address = StringField(
        _l("Address"), [_REQUIRED, _no_longer_than(LONGEST_ADDRESS)], filters=[_stripped]
    )


class NewPasswordForm(Form):
    """A password of one's own choice, twice."""

    new = PasswordField(
        _l("New password"),
        [
            _REQUIRED,
            Length(min=MIN_PASSWORD_LENGTH, message=_l("At least %(min)d characters.")),
            _no_longer_than(LONGEST_PASSWORD),
        ],
    )
    repeated = PasswordField(
        _l("New password again"), [_REQUIRED, EqualTo("new", _l("The two are not the same."))]
    )


class PasswordForm(ConfirmedForm, NewPasswordForm):
    """The reader's own."""


class InvitationForm(ConfirmedForm):
    """Whom to let in, and as what."""

    email = StringField(
        _l("E-mail"), [_REQUIRED, _no_longer_than(LONGEST_EMAIL)], filters=[_stripped]
    )
    role = StringField(_l("Role"), [_one_of(*Role)], default=Role.MANAGER.value)


class RoleForm(ConfirmedForm):
    role = StringField(_l("Role"), [_one_of(*Role)])


class JoiningForm(NewPasswordForm):
    """What an invited person says of themselves."""

    name = StringField(
        _l("Your name"), [_REQUIRED, _no_longer_than(LONGEST_NAME)], filters=[_stripped]
    )
    language = StringField(_l("Language"), [_one_of("en", "de")])


class ForgottenForm(Form):
    email = StringField(
        _l("E-mail"), [_REQUIRED, _no_longer_than(LONGEST_EMAIL)], filters=[_stripped]
    )


class CustomerForm(Form):
    """Whom appointments are for; that the address is readable is checked where it is written."""

    name = StringField(_l("Name"), [_REQUIRED, _no_longer_than(LONGEST_NAME)], filters=[_stripped])
    email = StringField(_l("E-mail"), [_no_longer_than(LONGEST_EMAIL)], filters=[_stripped])
    phone = StringField(_l("Phone"), [_no_longer_than(LONGEST_PHONE)], filters=[_stripped])
    time_zone = StringField(_l("Time zone"), [_REQUIRED], filters=[_stripped])
    language = StringField(_l("Language"), [_REQUIRED], filters=[_stripped])

    def validate_time_zone(self, field: Field) -> None:
        check_zone(field)

    def validate_language(self, field: Field) -> None:
        if not re.fullmatch(r"[A-Za-z]{2,3}([-_][A-Za-z0-9]{2,8}){0,2}", field.data or ""):
            raise ValidationError(_l("This is not a language. Example: de"))


class CompanyForm(Form):
    name = StringField(_l("Name"), [_REQUIRED, _no_longer_than(LONGEST_NAME)], filters=[_stripped])
    time_zone = StringField(_l("Time zone"), [_REQUIRED], filters=[_stripped])
    language = StringField(_l("Language"), [_one_of("en", "de")])

    def validate_time_zone(self, field: Field) -> None:
        check_zone(field)


def check_zone(field: Field) -> None:
    """Raises ValidationError for what is no IANA time zone."""
    if field.data not in available_timezones():
        raise ValidationError(_l("This is not a time zone. Example: Europe/Berlin"))


class ConnectionForm(ConfirmedForm):
    """Where the company's Cal.com is; an empty key leaves the one that is set."""

    base_url = StringField(
        _l("Address"), [_REQUIRED, _no_longer_than(LONGEST_ADDRESS)], filters=[_stripped]
    )
    api_key = PasswordField(_l("API key"), [_no_longer_than(500)], filters=[_stripped])
    webhook_secret = PasswordField(
        _l("Webhook secret"), [_no_longer_than(500)], filters=[_stripped]
    )

    def validate_api_key(self, field: Field) -> None:
        if field.data and not re.fullmatch(r"[!-~]+", field.data):
            raise ValidationError(_l("A key holds no spaces and no letters with accents."))


class PhoneForm(ConfirmedForm):
    """The telephone's key, and what becomes of calls while Cal.com can't be asked."""

    retell_key = PasswordField(
        _l("Retell API key"), [_no_longer_than(LONGEST_ADDRESS)], filters=[_stripped]
    )
    unchecked = StringField(validators=[_one_of("yes", "no")])


class ServiceForm(Form):
    """A service; numbers are typed, so that what makes no sense can be said beside its field."""

    name = StringField(_l("Name"), [_REQUIRED, _no_longer_than(LONGEST_NAME)], filters=[_stripped])
    duration = StringField(_l("Duration"), [_REQUIRED], filters=[_stripped])
    buffer_before = StringField(_l("Buffer before"), default="0", filters=[_stripped])
    buffer_after = StringField(_l("Buffer after"), default="0", filters=[_stripped])
    price = StringField(_l("Price"), default="0", filters=[_stripped])
    currency = StringField(_l("Currency"), default="EUR", filters=[_stripped])
    is_offered = BooleanField(_l("Offered"), default=True)
    event_type_id = StringField(_l("Cal.com event type ID"), filters=[_stripped])

    def validate_duration(self, field: Field) -> None:
        _check_number(field, least=1, most=MINUTES_OF_A_DAY)

    def validate_buffer_before(self, field: Field) -> None:
        _check_number(field, least=0, most=MINUTES_OF_A_DAY)

    def validate_buffer_after(self, field: Field) -> None:
        _check_number(field, least=0, most=MINUTES_OF_A_DAY)

    def validate_event_type_id(self, field: Field) -> None:
        if field.data:
            _check_number(field, least=1, most=2**31 - 1)

    def validate_price(self, field: Field) -> None:
        if parse_price(field.data) is None:
            raise ValidationError(_l("This is not a price. Example: 49.90"))

    def validate_currency(self, field: Field) -> None:
        if not re.fullmatch(r"[A-Za-z]{3}", field.data or ""):
            raise ValidationError(_l("A currency has three letters. Example: EUR"))

    @property
    def wanted_event_type(self) -> int | None:
        return int(self.event_type_id.data) if self.event_type_id.data else None


def _check_number(field: Field, *, least: int, most: int) -> None:
    text = field.data or "0"
    if not re.fullmatch(r"[0-9]{1,10}", text) or not least <= int(text) <= most:
        raise ValidationError(
            str(_l("Enter a whole number from %(least)d to %(most)d."))
            % {"least": least, "most": most}
        )


def parse_price(text: str | None) -> int | None:
    """Hundredths out of `49.90` or `49,90`; nothing typed is nothing, None is no price."""
    compact = (text or "0").replace(",", ".")
    if not re.fullmatch(r"[0-9]{1,7}([.][0-9]{1,2})?", compact):
        return None
    return int(Decimal(compact) * 100)


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


def refuse(field: Field, message: object) -> None:
    """Say what is wrong with a field after the fact."""
    field.errors = [*field.errors, str(message)]
