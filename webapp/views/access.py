"""Who may come in, and as whom: the tenant's entrance, scoped look-ups, guards by role (S12).

Every route needs a login unless it stands in PUBLIC_ENDPOINTS. What a page needs to know of the
reader is kept as plain values, so that a commit or a broken session cannot take it away.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import wraps
from typing import Any, ParamSpec, TypeVar, cast
from zoneinfo import ZoneInfo

import structlog
from flask import Flask, abort, flash, g, has_request_context, request, session
from flask.typing import ResponseReturnValue
from flask_login import current_user, login_user, logout_user
from sqlalchemy import select
from werkzeug.datastructures import MultiDict

from webapp import clock
from webapp.application import LANGUAGES, settings
from webapp.extensions import db, login
from webapp.models import crossing
from webapp.models.base import Owned
from webapp.models.company import Company
from webapp.models.tenancy import enter_company, leave_company, require_company_id
from webapp.models.user import Role, User
from webapp.views import htmx
from webapp.views.words import gettext as _

DOORS = frozenset(
    {
        "static",
        "calcom_webhook.receive",
        "phone.receive",
        "health.live",
        "health.ready",
        "metrics.show",
        "api_docs.document",
    }
)
"""For programs: no session; who calls a webhook proves it by signature, and finds its company."""

TOKEN_DOORS = frozenset({"api_v1"})
"""Blueprints for programs: all in them proves itself by a bearer token, and by nothing else."""

WAYS_IN = frozenset(
    {
        "login.show",
        "login.admit",
        "invitations.show",
        "invitations.accept",
        "passwords.ask",
        "passwords.mail",
        "passwords.show",
        "passwords.choose",
    }
)
"""For people who have no login yet, or have forgotten it; a link's secret lets them in."""

PUBLIC_ENDPOINTS = DOORS | WAYS_IN | {"api_docs.show"}

LARGEST_ID = 2**63 - 1
SEEN_AT = "seen_at"

P = ParamSpec("P")
R = TypeVar("R")
Row = TypeVar("Row", bound=Owned)


@dataclass(frozen=True)
class Person:
    """The reader, with what their company means for every page."""

    id: int
    name: str
    email: str
    role: Role
    locale: str
    company_id: int
    company_name: str
    time_zone: str
    paused_at: datetime | None
    paused_by: str | None
    managers_settle: bool

    @property
    def may_act(self) -> bool:
        return self.role in (Role.ADMIN, Role.MANAGER)

    @property
    def may_settle(self) -> bool:
        """Findings may be settled by admins, and by managers unless the company took it away."""
        return self.is_admin or (self.role is Role.MANAGER and self.managers_settle)

    @property
    def is_admin(self) -> bool:
        return self.role is Role.ADMIN


def register(app: Flask) -> None:
    login.user_loader(_load_person)
    app.before_request(_refuse_nul)
    app.before_request(_admit)
    app.teardown_request(_leave)
    app.context_processor(_describe_reader)


def _describe_reader() -> dict[str, Any]:
    person = current_person()
    return {"person": person, "may_settle": person is not None and may_settle(person)}


def _refuse_nul() -> None:
    """No text of ours holds a NUL, and PostgreSQL refuses it late."""
    typed = [request.path, *request.args.keys(), *_values(request.args)]
    if not is_door(request.endpoint):
        typed += _values(request.form)
    if any("\x00" in text for text in typed):
        abort(400)


def _values(fields: MultiDict[str, str]) -> list[str]:
    return [text for texts in fields.listvalues() for text in texts]


def is_door(endpoint: str | None) -> bool:
    """Whether an endpoint is for programs: there a login neither counts nor is asked for."""
    return endpoint in DOORS or (endpoint or "").partition(".")[0] in TOKEN_DOORS


def current_person() -> Person | None:
    """Who is logged in; None on public pages."""
    return cast(Person | None, g.get("person")) if has_request_context() else None


def require_person() -> Person:
    """Who is logged in; the entrance has made sure of it."""
    person = current_person()
    if person is None:
        abort(401)
    return person


def reader_locale() -> str | None:
    """The reader's language: their own, else the browser's wish."""
    person = current_person()
    if person is not None:
        return person.locale
    return request.accept_languages.best_match(LANGUAGES) if has_request_context() else None


def reader_zone() -> str:
    """The zone in which times are shown: the company's."""
    person = current_person()
    return "UTC" if person is None else person.time_zone


def company_zone() -> ZoneInfo:
    """The company's zone, for turning local times into instants and back."""
    return ZoneInfo(reader_zone())


def find_or_404(model: type[Row], row_id: int | None) -> Row:
    """A row of the reader's company; a stranger's is as absent as one that never was."""
    if row_id is None or not 0 < row_id <= LARGEST_ID:
        abort(404)
    row = db.session.get(model, (require_company_id(), row_id))
    if row is None:
        abort(404)
    return row


def id_or_404(text: str) -> int:
    """An id out of a form or filter."""
    if not is_id(text):
        abort(404)
    return int(text)


def is_id(text: str) -> bool:
    """Whether this could be a row's id at all."""
    return text.isascii() and text.isdigit() and len(text) <= 19 and 0 < int(text) <= LARGEST_ID


def acting(view: Callable[P, R]) -> Callable[P, R]:
    """Admins and managers only: book, move, cancel, verify."""

    @wraps(view)
    def guarded(*args: P.args, **kwargs: P.kwargs) -> R:
        if not require_person().may_act:
            abort(403)
        return view(*args, **kwargs)

    return guarded


def may_settle(person: Person) -> bool:
    """Who settles findings: admins, and managers unless a policy took it away (S12.3)."""
    return person.may_settle


def settlers_only(view: Callable[P, R]) -> Callable[P, R]:
    """Retry, settle, dismiss; singly or in bulk."""

    @wraps(view)
    def guarded(*args: P.args, **kwargs: P.kwargs) -> R:
        if not may_settle(require_person()):
            abort(403)
        return view(*args, **kwargs)

    return guarded


def admins_only(view: Callable[P, R]) -> Callable[P, R]:
    """Settings, secrets, users."""

    @wraps(view)
    def guarded(*args: P.args, **kwargs: P.kwargs) -> R:
        if not require_person().is_admin:
            abort(403)
        return view(*args, **kwargs)

    return guarded


def begin_login(user: User) -> None:
    """Start a fresh session: nothing of what was in the cookie before survives."""
    session.clear()
    login_user(user)
    session[SEEN_AT] = clock.now().timestamp()


def end_login() -> None:
    logout_user()
    session.clear()
    g.person = None


def enter(company_id: int) -> None:
    """Act for a company until the request ends."""
    _leave()
    g.company_token = enter_company(company_id)
    structlog.contextvars.bind_contextvars(company_id=company_id)


def _admit() -> ResponseReturnValue | None:
    endpoint = request.endpoint
    if is_door(endpoint):
        return None
    if current_user.is_authenticated and not _has_idled(clock.now()):
        _keep_awake(clock.now())
        return None
    had_login = "_user_id" in session or g.get("person") is not None
    if had_login:
        end_login()
    if endpoint is None or endpoint in PUBLIC_ENDPOINTS:
        return None
    return _to_login(had_login)


def _to_login(had_login: bool) -> ResponseReturnValue:
    if had_login:
        flash(_("Your session has ended. Please log in again."), "info")
    return htmx.to_login()


def _load_person(identity: str) -> User | None:
    """Flask-Login's look-up, once a request: `identity` is `<user id>:<session version>`."""
    user_id, _colon, version = identity.partition(":")
    if not is_id(user_id):
        return None
    company_id = crossing.company_of_user(db.session(), int(user_id))
    db.session.rollback()
    if company_id is None:
        return None
    enter(company_id)
    found = db.session.execute(
        select(User, Company)
        .join(Company, Company.id == User.company_id)
        .where(User.company_id == company_id, User.id == int(user_id))
    ).one_or_none()
    if found is None or not found.User.is_enabled or str(found.User.session_version) != version:
        return None
    g.person = _as_person(found.User, found.Company)
    structlog.contextvars.bind_contextvars(user_id=found.User.id)
    return cast(User, found.User)


def _as_person(user: User, company: Company) -> Person:
    return Person(
        id=user.id,
        name=user.name,
        email=user.email,
        role=user.role,
        locale=user.locale,
        company_id=company.id,
        company_name=company.name,
        time_zone=company.time_zone,
        paused_at=company.paused_at,
        paused_by=company.paused_by,
        managers_settle=company.managers_settle,
    )


def _has_idled(now: datetime) -> bool:
    idle = timedelta(minutes=settings().session_idle_minutes)
    return now.timestamp() - float(session.get(SEEN_AT, 0)) > idle.total_seconds()


def _keep_awake(now: datetime) -> None:
    """Note that somebody is there; a page that polls by itself is nobody."""
    if not htmx.is_poll():
        session[SEEN_AT] = now.timestamp()


def _leave(_error: BaseException | None = None) -> None:
    token: Any = g.pop("company_token", None)
    if token is not None:
        leave_company(token)
