"""What a company sets: policies, connections, tokens, channels."""

import re
from typing import Any

from flask_babel import LazyString
from flask_babel import lazy_gettext as _l
from wtforms import (
    Field,
    Form,
    PasswordField,
    SelectField,
    SelectMultipleField,
    StringField,
)
from wtforms.validators import ValidationError

from webapp.models.api_token import Scope
from webapp.models.company import FieldPolicy, UnclaimedPolicy
from webapp.views.forms.access import ConfirmedForm
from webapp.views.forms.fields import (
    LONGEST_ADDRESS,
    LONGEST_NAME,
    REQUIRED,
    check_zone,
    no_longer_than,
    one_of,
    stripped,
)

LONGEST_CHANNEL_NAME = 100
LONGEST_TOKEN_NAME = 100
TOKEN_LIVES: dict[str, LazyString] = {
    "30": _l("in 30 days"),
    "90": _l("in 90 days"),
    "365": _l("in a year"),
    "never": _l("never"),
}
"""Days until an API token expires."""


class PoliciesForm(Form):
    """What a company decides; the page has the words for it."""

    start_policy = StringField(validators=[one_of(*FieldPolicy)])
    status_policy = StringField(validators=[one_of(*FieldPolicy)])
    unclaimed_policy = StringField(validators=[one_of(*UnclaimedPolicy)])
    managers_settle = StringField(validators=[one_of("yes", "no")])


class TokenForm(ConfirmedForm):
    """A new API token."""

    name = StringField(
        _l("What it is for"), [REQUIRED, no_longer_than(LONGEST_TOKEN_NAME)], filters=[stripped]
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
        _l("Name"), [REQUIRED, no_longer_than(LONGEST_CHANNEL_NAME)], filters=[stripped]
    )
    address = StringField(
        _l("Address"), [REQUIRED, no_longer_than(LONGEST_ADDRESS)], filters=[stripped]
    )


class CompanyForm(Form):
    name = StringField(_l("Name"), [REQUIRED, no_longer_than(LONGEST_NAME)], filters=[stripped])
    time_zone = StringField(_l("Time zone"), [REQUIRED], filters=[stripped])
    language = StringField(_l("Language"), [one_of("en", "de")])

    def validate_time_zone(self, field: Field) -> None:
        check_zone(field)


class ConnectionForm(ConfirmedForm):
    """Where the company's Cal.com is; an empty key leaves the one that is set."""

    base_url = StringField(
        _l("Address"), [REQUIRED, no_longer_than(LONGEST_ADDRESS)], filters=[stripped]
    )
    api_key = PasswordField(_l("API key"), [no_longer_than(500)], filters=[stripped])
    webhook_secret = PasswordField(_l("Webhook secret"), [no_longer_than(500)], filters=[stripped])

    def validate_api_key(self, field: Field) -> None:
        if field.data and not re.fullmatch(r"[!-~]+", field.data):
            raise ValidationError(_l("A key holds no spaces and no letters with accents."))


class PhoneForm(ConfirmedForm):
    """The telephone's key, and what becomes of calls while Cal.com can't be asked."""

    retell_key = PasswordField(
        _l("Retell API key"), [no_longer_than(LONGEST_ADDRESS)], filters=[stripped]
    )
    unchecked = StringField(validators=[one_of("yes", "no")])
