"""What forms are made of: lengths, checks, and saying what is wrong."""

import re
from zoneinfo import available_timezones

from flask_babel import lazy_gettext as _l
from wtforms import Field
from wtforms.validators import AnyOf, DataRequired, Length, ValidationError

LONGEST_NAME = 200
LONGEST_EMAIL = 254
LONGEST_PHONE = 40
LONGEST_NOTES = 4000
LONGEST_REASON = 500
LONGEST_ADDRESS = 1000
REQUIRED = DataRequired(_l("This is needed."))


def stripped(text: str | None) -> str | None:
    return text.strip() if text else text


def no_longer_than(characters: int) -> Length:
    return Length(max=characters, message=_l("At most %(max)d characters."))


def one_of(*values: str) -> AnyOf:
    return AnyOf(values, message=_l("Choose one of these."))


def check_zone(field: Field) -> None:
    """Raises ValidationError for what is no IANA time zone."""
    if field.data not in available_timezones():
        raise ValidationError(_l("This is not a time zone. Example: Europe/Berlin"))


def check_number(field: Field, *, least: int, most: int) -> None:
    text = field.data or "0"
    if not re.fullmatch(r"[0-9]{1,10}", text) or not least <= int(text) <= most:
        raise ValidationError(
            str(_l("Enter a whole number from %(least)d to %(most)d."))
            % {"least": least, "most": most}
        )


def refuse(field: Field, message: object) -> None:
    """Say what is wrong with a field after the fact."""
    field.errors = [*field.errors, str(message)]
