"""The setting: companies, people and services here, their accounts and event types there."""

import random
from datetime import datetime
from typing import Any

from flask import current_app
from sqlalchemy import select

from webapp.demo.cast import PASSWORD, Offer, Troupe
from webapp.extensions import db
from webapp.models.crossing import next_company_id
from webapp.models.service import Service
from webapp.models.tenancy import as_company, require_company_id
from webapp.sandbox.remote import RemoteSandbox
from webapp.sync.customers import find_or_make_customer
from webapp.sync.offerings import create_service
from webapp.sync.onboarding import (
    connect_company,
    connect_phone,
    create_company,
    create_user,
)

TRIGGERS = [
    "BOOKING_CREATED",
    "BOOKING_RESCHEDULED",
    "BOOKING_REQUESTED",
    "BOOKING_CANCELLED",
    "BOOKING_REJECTED",
    "BOOKING_NO_SHOW_UPDATED",
    "MEETING_ENDED",
]


def build_remote(remote: RemoteSandbox, troupe: Troupe) -> dict[str, int]:
    """The account and its event types; returns event type ids by slug."""
    account = remote.post(
        "accounts",
        email=troupe.calcom_email,
        key=troupe.api_key,
        name=troupe.name,
        timeZone=troupe.time_zone,
    )
    made = {}
    for offer in troupe.offers:
        if offer.is_on_calcom:
            made[offer.slug] = _event_type(remote, account, offer)
    return made


def register_webhook(remote: RemoteSandbox, troupe: Troupe, root_url: str) -> None:
    """Let the sandbox call us at this root."""
    remote.post(
        "webhooks",
        account=troupe.calcom_email,
        subscriberUrl=f"{root_url}/webhooks/calcom/{troupe.webhook_token}",
        triggers=TRIGGERS,
        secret=troupe.webhook_secret,
        active=True,
    )


def build_company(
    remote: RemoteSandbox, troupe: Troupe, event_types: dict[str, int], *, now: datetime
) -> int:
    """The company with its people, services and customers, connected; returns its id."""
    company_id = next_company_id(db.session())
    db.session.rollback()
    with as_company(company_id):
        _build(remote, troupe, event_types, now)
        db.session.commit()
    return company_id


def service_ids() -> dict[str, int]:
    """The current company's services by name."""
    rows = db.session.execute(
        select(Service.name, Service.id).where(Service.company_id == require_company_id())
    )
    return {name: service_id for name, service_id in rows.tuples()}  # noqa: C416 - a result


def _build(
    remote: RemoteSandbox, troupe: Troupe, event_types: dict[str, int], now: datetime
) -> None:
    session, vault = db.session(), current_app.extensions["vault"]
    create_company(
        session,
        slug=troupe.slug,
        name=troupe.name,
        time_zone=troupe.time_zone,
        locale=troupe.locale,
        now=now,
        webhook_token=troupe.webhook_token,
        phone_token=troupe.phone_token,
    )
    connect_phone(session, vault, api_key=troupe.retell_key, now=now)
    connect_company(
        session,
        vault,
        base_url=remote.api_url,
        api_key=troupe.api_key,
        webhook_secret=troupe.webhook_secret,
        allow_private_networks=True,
        now=now,
    )
    for person in troupe.people:
        create_user(
            session,
            email=person.email,
            name=person.name,
            role=person.role,
            locale=troupe.locale,
            password=PASSWORD,
            now=now,
        )
    for offer in troupe.offers:
        create_service(
            session,
            name=offer.name,
            duration_minutes=offer.minutes,
            price_cents=offer.price_cents,
            currency=troupe.currency,
            event_type_id=event_types.get(offer.slug),
            now=now,
        )
    _invite_customers(troupe, now)


def _invite_customers(troupe: Troupe, now: datetime) -> None:
    dice = random.Random(troupe.slug)  # noqa: S311 - sample data
    pairs = [(first, last) for first in troupe.first_names for last in troupe.last_names]
    for number, (first, last) in enumerate(dice.sample(pairs, troupe.customers)):
        find_or_make_customer(
            db.session(),
            name=f"{first} {last}",
            email=f"customer{number:03}@{troupe.slug}.example",
            phone=f"{troupe.phone_prefix}{number:04}" if number % 3 else None,
            time_zone=troupe.time_zone,
            language=troupe.locale,
            now=now,
        )


def _event_type(remote: RemoteSandbox, account: dict[str, Any], offer: Offer) -> int:
    made = remote.post(
        "event-types",
        account=account["id"],
        title=offer.name,
        slug=offer.slug,
        lengthInMinutes=offer.minutes,
    )
    return int(made["id"])
