"""Confirming one's own password before secrets change hands (S12.4): whoever sits at an open desk
does not own it yet.

A form that needs it is a ConfirmedForm, its page includes `components/reauthentication.html`, and
its view is `@throttled` and asks `is_confirmed`. The password comes with the form itself, so
nothing that was typed is lost on the way to a page that asks for it.
"""

from flask import request

from webapp import clock
from webapp.application import settings
from webapp.extensions import db, limiter
from webapp.models.audit import Actor, record_audit
from webapp.models.tenancy import require_company_id
from webapp.models.user import User
from webapp.views.access import require_person
from webapp.views.forms.access import LONGEST_PASSWORD, ConfirmedForm
from webapp.views.forms.fields import refuse
from webapp.views.words import gettext as _


def _rate() -> str:
    return f"{settings().login_attempts_per_minute}/minute"


def _whose_password() -> str:
    return f"password:{require_person().id}"


throttled = limiter.shared_limit(_rate, scope="reauthentication", key_func=_whose_password)
"""Decorates a view that asks for a password: tries are counted per person, over all such views."""


def is_confirmed(form: ConfirmedForm) -> bool:
    """Whether the reader's password was typed; if not, the form says so and the try is audited."""
    user = own_user()
    if user.has_password((form.current.data or "")[:LONGEST_PASSWORD]):
        return True
    _audit_failure(user)
    refuse(form.current, _("This is not your current password."))
    return False


def own_user() -> User:
    """The reader's row."""
    return db.session.get_one(User, (require_company_id(), require_person().id))


def _audit_failure(user: User) -> None:
    record_audit(
        db.session(),
        "reauthentication_failed",
        f"user:{user.id}",
        at=clock.now(),
        actor=Actor.USER,
        user_id=user.id,
        address=request.remote_addr,
    )
    db.session.commit()
