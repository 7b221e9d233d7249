"""The audit log in plain words: what was done, by what kind of doer, and to what."""

import json
from collections.abc import Mapping
from enum import StrEnum
from typing import Any

from flask import Flask
from flask_babel import LazyString
from flask_babel import lazy_gettext as _l

from webapp.models.audit import Actor
from webapp.views.wording import Badge

ACTORS: dict[StrEnum, Badge] = {
    Actor.USER: Badge(_l("Person"), "blue", "user"),
    Actor.OPERATOR: Badge(_l("Operator"), "orange", "settings"),
    Actor.CALCOM: Badge(_l("Cal.com"), "secondary", "cloud"),
    Actor.SYSTEM: Badge(_l("Lockstep"), "secondary", "refresh"),
}
ACTS: dict[str, LazyString] = {
    "logged_in": _l("Logged in"),
    "login_failed": _l("Login refused"),
    "reauthentication_failed": _l("Password refused before a change"),
    "password_changed": _l("Password changed"),
    "password_reset": _l("Password set by link"),
    "password_set": _l("Password set by the operator"),
    "user.created": _l("Person added"),
    "user.joined": _l("Invitation accepted"),
    "user.role_changed": _l("Role changed"),
    "user.deactivated": _l("Person barred"),
    "user.reactivated": _l("Person let in again"),
    "invitation.created": _l("Person invited"),
    "invitation.withdrawn": _l("Invitation withdrawn"),
    "password_link.created": _l("Link for a new password made"),
    "company.created": _l("Company made"),
    "company.connected": _l("Connection to Cal.com set"),
    "company.described": _l("Company details changed"),
    "company.phone_connected": _l("Telephone connected"),
    "company.phone_changed": _l("Rules for the telephone changed"),
    "company.paused": _l("Sending paused"),
    "company.resumed": _l("Sending resumed"),
    "breaker.reset": _l("Breaker reset"),
    "secrets.resealed": _l("Secrets sealed with the new key"),
    "policies.changed": _l("Policies changed"),
    "thresholds.changed": _l("Thresholds changed"),
    "api_token.created": _l("API token made"),
    "api_token.revoked": _l("API token revoked"),
    "staff_mail_chosen": _l("Mail to staff chosen"),
    "channel_added": _l("Chat channel added"),
    "channel_changed": _l("Chat channel changed"),
    "channel_removed": _l("Chat channel removed"),
    "delivery.refused": _l("Webhook refused"),
    "delivery.bad_signature": _l("Webhook with a wrong signature"),
    "delivery.not_json": _l("Webhook that is not JSON"),
    "phone.bad_signature": _l("Call with a wrong signature"),
    "delivery.run_again": _l("Webhook worked off again"),
    "webhook.registered": _l("Webhook registered with Cal.com"),
    "webhook.secret_set": _l("Webhook secret set"),
    "webhook.secret_rotated": _l("Webhook secret changed"),
    "webhook.secret_retired": _l("Former webhook secret retired"),
    "reviews.exported": _l("Review queue exported"),
    "audit.exported": _l("Audit log exported"),
    "customer.exported": _l("Customer's data exported"),
    "customer.erased": _l("Customer erased"),
    "incident.settled": _l("Incident settled"),
    "service.created": _l("Service made"),
    "service.changed": _l("Service changed"),
    "service.took_theirs": _l("Cal.com's version of a service taken"),
    "service.sync_requested": _l("Sync of a service asked for"),
    "service.synced": _l("Service carried to Cal.com"),
    "service.sync_failed": _l("Sync of a service failed"),
    "service.drifted": _l("Service differs from its event type"),
    "service.in_step": _l("Service agrees with its event type again"),
    "demo.seeded": _l("Sample data made"),
}
SUBJECTS: dict[str, LazyString] = {
    "user": _l("Person"),
    "company": _l("Company"),
    "delivery": _l("Webhook"),
    "api_token": _l("API token"),
    "channel": _l("Chat channel"),
    "customer": _l("Customer"),
    "incident": _l("Incident"),
    "service": _l("Service"),
    "appointment": _l("Appointment"),
    "access_link": _l("Link"),
}


def register(app: Flask) -> None:
    app.add_template_filter(act)
    app.add_template_filter(audit_subject)
    app.add_template_filter(audit_details)
    app.jinja_env.globals["AUDIT_ACTORS"] = ACTORS


def act(action: str) -> str:
    """What was done, in words; its code where there are none."""
    return str(ACTS.get(action, action))


def audit_subject(subject: str) -> str:
    """`user:12` as "Person #12"; the company itself needs no number."""
    kind, _, number = subject.partition(":")
    name = SUBJECTS.get(kind)
    if name is None:
        return subject
    return str(name) if kind == "company" or not number else f"{name} #{number}"


def audit_details(data: Mapping[str, Any]) -> str:
    """What else was written down: `rows=12, kind=Slack`. The names are the log's own."""
    return ", ".join(f"{name}={_value(value)}" for name, value in data.items())


def _value(value: object) -> str:
    return json.dumps(value, ensure_ascii=False) if isinstance(value, dict | list) else str(value)
