"""Customers and services."""

import re
from decimal import Decimal

from flask_babel import lazy_gettext as _l
from wtforms import (
    BooleanField,
    Field,
    Form,
    StringField,
)
from wtforms.validators import ValidationError

from webapp.views.forms.fields import (
    LONGEST_EMAIL,
    LONGEST_NAME,
    LONGEST_PHONE,
    REQUIRED,
    check_number,
    check_zone,
    no_longer_than,
    stripped,
)

MINUTES_OF_A_DAY = 1440


class CustomerForm(Form):
    """Whom appointments are for; that the address is readable is checked where it is written."""

    name = StringField(_l("Name"), [REQUIRED, no_longer_than(LONGEST_NAME)], filters=[stripped])
    email = StringField(_l("E-mail"), [no_longer_than(LONGEST_EMAIL)], filters=[stripped])
    phone = StringField(_l("Phone"), [no_longer_than(LONGEST_PHONE)], filters=[stripped])
    time_zone = StringField(_l("Time zone"), [REQUIRED], filters=[stripped])
    language = StringField(_l("Language"), [REQUIRED], filters=[stripped])

    def validate_time_zone(self, field: Field) -> None:
        check_zone(field)

    def validate_language(self, field: Field) -> None:
        if not re.fullmatch(r"[A-Za-z]{2,3}([-_][A-Za-z0-9]{2,8}){0,2}", field.data or ""):
            raise ValidationError(_l("This is not a language. Example: de"))


class ServiceForm(Form):
    """A service; numbers are typed, so that what makes no sense can be said beside its field."""

    name = StringField(_l("Name"), [REQUIRED, no_longer_than(LONGEST_NAME)], filters=[stripped])
    duration = StringField(_l("Duration"), [REQUIRED], filters=[stripped])
    buffer_before = StringField(_l("Buffer before"), default="0", filters=[stripped])
    buffer_after = StringField(_l("Buffer after"), default="0", filters=[stripped])
    price = StringField(_l("Price"), default="0", filters=[stripped])
    currency = StringField(_l("Currency"), default="EUR", filters=[stripped])
    is_offered = BooleanField(_l("Offered"), default=True)
    event_type_id = StringField(_l("Cal.com event type ID"), filters=[stripped])

    def validate_duration(self, field: Field) -> None:
        check_number(field, least=1, most=MINUTES_OF_A_DAY)

    def validate_buffer_before(self, field: Field) -> None:
        check_number(field, least=0, most=MINUTES_OF_A_DAY)

    def validate_buffer_after(self, field: Field) -> None:
        check_number(field, least=0, most=MINUTES_OF_A_DAY)

    def validate_event_type_id(self, field: Field) -> None:
        if field.data:
            check_number(field, least=1, most=2**31 - 1)

    def validate_price(self, field: Field) -> None:
        if parse_price(field.data) is None:
            raise ValidationError(_l("This is not a price. Example: 49.90"))

    def validate_currency(self, field: Field) -> None:
        if not re.fullmatch(r"[A-Za-z]{3}", field.data or ""):
            raise ValidationError(_l("A currency has three letters. Example: EUR"))

    @property
    def wanted_event_type(self) -> int | None:
        return int(self.event_type_id.data) if self.event_type_id.data else None


def parse_price(text: str | None) -> int | None:
    """Hundredths out of `49.90` or `49,90`; nothing typed is nothing, None is no price."""
    compact = (text or "0").replace(",", ".")
    if not re.fullmatch(r"[0-9]{1,7}([.][0-9]{1,2})?", compact):
        return None
    return int(Decimal(compact) * 100)
