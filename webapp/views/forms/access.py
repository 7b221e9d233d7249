"""Logging in, passwords, and who may do what; what matters asks for the password again."""

from flask_babel import lazy_gettext as _l
from wtforms import (
    Form,
    PasswordField,
    StringField,
)
from wtforms.validators import EqualTo, Length

from webapp.models.user import MIN_PASSWORD_LENGTH, Role
from webapp.views.forms.fields import (
    LONGEST_EMAIL,
    LONGEST_NAME,
    REQUIRED,
    no_longer_than,
    one_of,
    stripped,
)

LONGEST_PASSWORD = 1024


class LoginForm(Form):
    email = StringField(_l("E-mail"), [REQUIRED], filters=[stripped])
    password = PasswordField(_l("Password"), [REQUIRED])


class ConfirmedForm(Form):
    """A form that is only taken together with the reader's own password (`reauthentication`)."""

    current = PasswordField(_l("Current password"), [REQUIRED])


class NewPasswordForm(Form):
    """A password of one's own choice, twice."""

    new = PasswordField(
        _l("New password"),
        [
            REQUIRED,
            Length(min=MIN_PASSWORD_LENGTH, message=_l("At least %(min)d characters.")),
            no_longer_than(LONGEST_PASSWORD),
        ],
    )
    repeated = PasswordField(
        _l("New password again"), [REQUIRED, EqualTo("new", _l("The two are not the same."))]
    )


class PasswordForm(ConfirmedForm, NewPasswordForm):
    """The reader's own."""


class InvitationForm(ConfirmedForm):
    """Whom to let in, and as what."""

    email = StringField(_l("E-mail"), [REQUIRED, no_longer_than(LONGEST_EMAIL)], filters=[stripped])
    role = StringField(_l("Role"), [one_of(*Role)], default=Role.MANAGER.value)


class RoleForm(ConfirmedForm):
    role = StringField(_l("Role"), [one_of(*Role)])


class JoiningForm(NewPasswordForm):
    """What an invited person says of themselves."""

    name = StringField(
        _l("Your name"), [REQUIRED, no_longer_than(LONGEST_NAME)], filters=[stripped]
    )
    language = StringField(_l("Language"), [one_of("en", "de")])


class ForgottenForm(Form):
    email = StringField(_l("E-mail"), [REQUIRED, no_longer_than(LONGEST_EMAIL)], filters=[stripped])
