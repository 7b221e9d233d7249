"""Every route of the application, with a row behind each id in its address. Rules about routes walk
these, so that a route which comes later is covered, or fails and says what to type here."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import pytest
from flask import Flask, Request, request
from werkzeug.datastructures import ImmutableMultiDict

from tests.contracts.filling import OWNED, Row
from tests.factories import Tenant, make_token
from webapp.models.notification import NotificationType
from webapp.models.threshold import ThresholdKind
from webapp.models.user import Role
from webapp.views.access import is_door

HERE = "tests/contracts/routes.py"

OPEN_DOORS = {"static", "health.live", "health.ready", "api_docs.document", "metrics.show"}
"""Doors that tell everybody the same (metrics: without a token set, that it isn't there); at any
other one proves oneself, or gets 401."""

LOGIN = {
    "login.show",
    "login.admit",
    "api_docs.show",
    "invitations.show",
    "invitations.accept",
    "passwords.ask",
    "passwords.mail",
    "passwords.show",
    "passwords.choose",
}
"""What people see who are not logged in."""

BODIES: dict[str, dict[str, str]] = {
    "api_v1.cancel": {"reason": "Ill"},
    "api_v1.reschedule": {"starts_at": "2031-01-07T14:30:00Z"},
}
"""Endpoint of a door with rows behind its addresses → a body that it takes from a program."""

KEYS: dict[str, Callable[[Tenant], dict[str, str]]] = {
    "api_v1": lambda tenant: {"Authorization": f"Bearer {make_token(tenant).text}"},
}
"""Blueprint of a door that has rows behind its addresses → headers with which a company gets in."""

OTHER_ARGUMENTS: dict[str, Callable[[Mapping[str, Row]], object]] = {
    "link_text": lambda _rows: "no-link-of-anybody",
    "code": lambda _rows: "TIMEOUT",
    "token": lambda rows: rows["companies"]["webhook_token"],
    "check": lambda _rows: "thresholds",
    "phone_token": lambda rows: rows["companies"]["phone_token"],
}
"""What stands in an address and is no `<singular of a table>_id`."""

EVERYBODY = {Role.STAFF, Role.MANAGER, Role.ADMIN}
ACTING = {Role.MANAGER, Role.ADMIN}
ADMINS = {Role.ADMIN}
WHO_MAY: dict[str, set[Role]] = {
    "appointments.confirm_push": ACTING,
    "appointments.index": EVERYBODY,
    "appointments.push": ACTING,
    "appointments.retry": ACTING,
    "appointments.show": EVERYBODY,
    "appointments.sync": EVERYBODY,
    "appointments.verify": ACTING,
    "audit.export": ACTING,
    "audit.index": ACTING,
    "booking.book": ACTING,
    "booking.customers": ACTING,
    "booking.free_times": ACTING,
    "booking.new": ACTING,
    "bulk_cancellations.create": ACTING,
    "bulk_cancellations.new": ACTING,
    "bulk_actions.cancel": ACTING,
    "bulk_actions.create": ACTING,
    "bulk_actions.index": EVERYBODY,
    "bulk_actions.new": ACTING,
    "bulk_actions.outcomes": EVERYBODY,
    "bulk_actions.progress": EVERYBODY,
    "bulk_actions.show": EVERYBODY,
    "calendar.events": EVERYBODY,
    "calendar.show": EVERYBODY,
    "changes.cancel": ACTING,
    "changes.confirm_cancellation": ACTING,
    "changes.confirm_rescheduling": ACTING,
    "changes.free_times": ACTING,
    "changes.reschedule": ACTING,
    "channels.add": ADMINS,
    "channels.choose_staff_mail": ADMINS,
    "channels.choose_types": ADMINS,
    "channels.confirm_removal": ADMINS,
    "channels.index": ADMINS,
    "channels.remove": ADMINS,
    "channels.retry": ADMINS,
    "channels.probe_channel": ADMINS,
    "channels.probe_mail": ADMINS,
    "company_settings.company": ADMINS,
    "company_settings.phone": ADMINS,
    "company_settings.save_company": ADMINS,
    "company_settings.save_phone": ADMINS,
    "connection_settings.check": ADMINS,
    "connection_settings.confirm_retirement": ADMINS,
    "connection_settings.confirm_rotation": ADMINS,
    "connection_settings.register": ADMINS,
    "connection_settings.retire": ADMINS,
    "connection_settings.rotate": ADMINS,
    "connection_settings.save": ADMINS,
    "connection_settings.show": ADMINS,
    "customer_data.confirm": ADMINS,
    "customer_data.erase": ADMINS,
    "customer_data.export": ADMINS,
    "customers.create": ACTING,
    "customers.edit": ACTING,
    "customers.index": EVERYBODY,
    "customers.new": ACTING,
    "customers.show": EVERYBODY,
    "customers.update": ACTING,
    "deliveries.index": EVERYBODY,
    "deliveries.outcome": EVERYBODY,
    "deliveries.rehearse_one": ACTING,
    "deliveries.run": ACTING,
    "deliveries.show": EVERYBODY,
    "edits.edit": ACTING,
    "edits.free_times": ACTING,
    "edits.mark": ACTING,
    "edits.save": ACTING,
    "first_steps.begin_import": ADMINS,
    "first_steps.progress": ADMINS,
    "first_steps.show": ADMINS,
    "guidance.error": EVERYBODY,
    "guidance.errors": EVERYBODY,
    "incidents.confirm_flagging": ACTING,
    "incidents.flag": ACTING,
    "incidents.index": EVERYBODY,
    "incidents.run": ACTING,
    "incidents.show": EVERYBODY,
    "login.leave": EVERYBODY,
    "monitoring.run": ACTING,
    "monitoring.show": EVERYBODY,
    "notifications.badge": EVERYBODY,
    "notifications.index": EVERYBODY,
    "notifications.read": EVERYBODY,
    "notifications.read_all": EVERYBODY,
    "notifications.show": EVERYBODY,
    "notifications.unread": EVERYBODY,
    "overview.cards": EVERYBODY,
    "overview.show": EVERYBODY,
    "people.bar": ADMINS,
    "people.change_role": ADMINS,
    "people.confirm_bar": ADMINS,
    "people.confirm_renewal": ADMINS,
    "people.index": ADMINS,
    "people.invite": ADMINS,
    "people.let_in": ADMINS,
    "people.offer_password": ADMINS,
    "people.renew": ADMINS,
    "people.show": ADMINS,
    "people.withdraw": ADMINS,
    "pauses.confirm": ADMINS,
    "pauses.pause": ADMINS,
    "pauses.resume": ADMINS,
    "policies.save": ADMINS,
    "policies.show": ADMINS,
    "profile.change_password": EVERYBODY,
    "profile.choose_language": EVERYBODY,
    "profile.choose_theme": EVERYBODY,
    "profile.show": EVERYBODY,
    "reviews.export": ACTING,
    "reviews.index": EVERYBODY,
    "reviews.row": EVERYBODY,
    "runs.index": EVERYBODY,
    "runs.progress": EVERYBODY,
    "runs.show": EVERYBODY,
    "runs.start": ACTING,
    "runs.stop": ACTING,
    "service_forms.create": ACTING,
    "service_forms.create_from_event_types": ACTING,
    "service_forms.edit": ACTING,
    "service_forms.event_types": ACTING,
    "service_forms.new": ACTING,
    "service_forms.update": ACTING,
    "service_syncs.confirm": ACTING,
    "service_syncs.start": ACTING,
    "service_syncs.state": EVERYBODY,
    "saved_views.give_name": EVERYBODY,
    "saved_views.index": EVERYBODY,
    "saved_views.remove": EVERYBODY,
    "saved_views.save": EVERYBODY,
    "search.show": EVERYBODY,
    "services.compare": ACTING,
    "services.comparison": EVERYBODY,
    "services.index": EVERYBODY,
    "services.show": EVERYBODY,
    "services.take": ACTING,
    "settings.show": ADMINS,
    "settlements.adoptions": ACTING,
    "settlements.cancellations": ACTING,
    "settlements.confirm_cancellations": ACTING,
    "settlements.confirm_dismissals": ACTING,
    "settlements.confirm_keepings": ACTING,
    "settlements.confirm_pushes": ACTING,
    "settlements.confirm_takeovers": ACTING,
    "settlements.dismissals": ACTING,
    "settlements.keepings": ACTING,
    "settlements.pushes": ACTING,
    "settlements.retries": ACTING,
    "settlements.takeovers": ACTING,
    "thresholds.save": ADMINS,
    "thresholds.show": ACTING,
    "tokens.confirm_revocation": ADMINS,
    "tokens.create": ADMINS,
    "tokens.index": ADMINS,
    "tokens.revoke": ADMINS,
    "verifications.create": ACTING,
    "verifications.latest": EVERYBODY,
    "wishes.choose": EVERYBODY,
    "wishes.show": EVERYBODY,
}
"""Endpoint → who may use it (SPEC S12.3)."""

IDS: dict[str, str] = {
    "id": "discrepancies",
    "appointment": "appointments",
    "customer": "customers",
    "service": "services",
}
"""What a form, a selection or a filter asks for that is the id of a row → its table."""

TEXTS: dict[str, str] = {
    **{type_.value: "daily" for type_ in NotificationType},
    "act": "",
    "actor": "",
    **{kind.value: "7" for kind in ThresholdKind},
    "window": "7d",
    "address": "",
    "api_key": "",
    "back": "",
    "base_url": "",
    "retell_key": "",
    "unchecked": "yes",
    "webhook_secret": "",
    "buffer_after": "0",
    "buffer_before": "0",
    "currency": "EUR",
    "duration": "30",
    "event_type": "",
    "event_type_id": "",
    "field": "",
    "is_offered": "y",
    "price": "0",
    "role": "staff",
    "enabled": "yes",
    "mails_staff": "yes",
    "types": "",
    "after": "",
    "age": "",
    "code": "",
    "confirmed": "",
    "guests": "",
    "mark": "completed",
    "query": "period=past",
    "view": "day",
    "show": "",
    "slot": "",
    "seen": "",
    "kind": "dismiss",
    "managers_settle": "yes",
    "origin": "",
    "scope": "ticked",
    "shown_at": "2031-01-07T14:30:00+00:00",
    "start_policy": "flag",
    "status_policy": "flag",
    "unclaimed_policy": "flag",
    "current": "wrong",
    "expiry": "90",
    "scopes": "stats:read",
    "day": "2031-01-07",
    "email": "somebody@example.org",
    "from": "2031-01-01",
    "language": "en",
    "name": "Somebody",
    "new": "",
    "notes": "",
    "open": "",
    "outcome": "",
    "period": "all",
    "phone": "",
    "poll": "",
    "q": "some",
    "reason": "Ill",
    "repeated": "",
    "status": "confirmed",
    "sync": "review",
    "text": "some",
    "theme": "dark",
    "time_zone": "Europe/Berlin",
    "time": "14:30",
    "trigger": "",
    "to": "2031-12-31",
    "type": "",
}
"""What a form or a filter asks for that is no row's id → a value that it takes."""


@dataclass(frozen=True)
class Doorway:
    """One verb at one address."""

    method: str
    address: str
    endpoint: str
    has_ids: bool

    def __str__(self) -> str:
        return f"{self.method} {self.address} ({self.endpoint})"


def doorways(app: Flask, rows: Mapping[str, Row]) -> list[Doorway]:
    """Every route and verb, with these rows' ids in the addresses."""
    adapter = app.url_map.bind("localhost")
    found = []
    for rule in sorted(app.url_map.iter_rules(), key=lambda rule: (rule.endpoint, rule.rule)):
        if rule.endpoint == "static":
            continue
        values = {name: argument(name, rows) for name in rule.arguments}
        for method in sorted((rule.methods or set()) - {"HEAD", "OPTIONS"}):
            address = adapter.build(rule.endpoint, values, method)
            has_ids = any(name not in OTHER_ARGUMENTS for name in rule.arguments)
            found.append(Doorway(method, address, rule.endpoint, has_ids))
    return found


def behind_the_login(app: Flask, rows: Mapping[str, Row]) -> list[Doorway]:
    """The doorways that people use; logging out last, for those who walk them all."""
    behind = [each for each in doorways(app, rows) if not is_door(each.endpoint)]
    people = [each for each in behind if each.endpoint not in LOGIN]
    return sorted(people, key=lambda each: each.endpoint == "login.leave")


def argument(name: str, rows: Mapping[str, Row]) -> object:
    """What to put into an address for an argument of this name."""
    if name in OTHER_ARGUMENTS:
        return OTHER_ARGUMENTS[name](rows)
    noun = name.removesuffix("_id")
    table = noun[:-1] + "ies" if noun.endswith("y") else noun + "s"
    if table not in {each.name for each in OWNED}:
        pytest.fail(f"<{name}> names no table of a company: say in {HERE}, OTHER_ARGUMENTS, what")
    return rows[table]["id"]


class _Asked(ImmutableMultiDict[str, str]):
    """Form or query that notes which names it is asked for."""

    def _note(self, name: str) -> None:
        if request and (request.method != "GET" or self is request.args):
            _notes.setdefault(str(request.endpoint), set()).add(name)

    def get(self, key: str, *args: Any, **kwargs: Any) -> Any:
        self._note(key)
        return super().get(key, *args, **kwargs)

    def getlist(self, key: str, *args: Any, **kwargs: Any) -> Any:
        self._note(key)
        return super().getlist(key, *args, **kwargs)

    def __contains__(self, key: object) -> bool:
        self._note(str(key))
        return super().__contains__(key)

    def __getitem__(self, key: str) -> Any:
        self._note(key)
        return super().__getitem__(key)


class _AskedRequest(Request):
    parameter_storage_class = _Asked


_notes: dict[str, set[str]] = {}


@contextmanager
def noting_what_is_asked(app: Flask) -> Iterator[dict[str, set[str]]]:
    """Endpoint → the names of form fields and filters that it asked for inside the block."""
    usual = app.request_class
    app.request_class = _AskedRequest
    _notes.clear()
    try:
        yield _notes
    finally:
        app.request_class = usual
