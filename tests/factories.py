"""Rows for tests, made with few words and really committed. Each factory acts for the company by
itself and returns ids and plain values: rows are read back by the test that wants them.

Call inside an application context."""

import itertools
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cache
from typing import Any

from argon2 import PasswordHasher
from flask import current_app

from webapp import clock
from webapp.extensions import db
from webapp.models.api_token import Scope
from webapp.models.appointment import Appointment, AppointmentStatus, Origin
from webapp.models.audit import Actor
from webapp.models.base import fold
from webapp.models.bulk import BulkAction, BulkItem
from webapp.models.company import Company, Secret
from webapp.models.crossing import next_company_id
from webapp.models.customer import Customer
from webapp.models.delivery import Delivery, DeliveryStatus
from webapp.models.discrepancy import Action, Discrepancy, DiscrepancyType
from webapp.models.incident import Incident, IncidentCause, IncidentType
from webapp.models.notification import Notification, NotificationType
from webapp.models.run import Run, RunScope, RunStatus
from webapp.models.service import Service
from webapp.models.sync_state import SyncState
from webapp.models.tenancy import as_company
from webapp.models.user import Role, User
from webapp.models.vault import Vault
from webapp.sync.tokens import issue_token

PASSWORD = "correct horse battery"
_numbers = itertools.count(1)


@dataclass(frozen=True)
class Tenant:
    """A company with one service and one customer."""

    id: int
    slug: str
    name: str
    service_id: int
    event_type_id: int
    customer_id: int
    customer_email: str
    webhook_token: str
    webhook_secret: str
    phone_token: str
    phone_key: str


@dataclass(frozen=True)
class Person:
    id: int
    company_id: int
    email: str
    role: Role
    password: str = PASSWORD


@dataclass(frozen=True)
class Token:
    id: int
    company_id: int
    text: str


def make_company(
    slug: str,
    *,
    calcom_url: str = "http://127.0.0.1:9/v2",
    api_key: str | None = "cal_test_key",
    event_type_id: int | None = None,
    time_zone: str = "Europe/Berlin",
    locale: str = "en",
) -> Tenant:
    """A company; nothing listens at its Cal.com address unless one is given."""
    company_id = next_company_id(db.session())
    db.session.rollback()
    event_type_id = event_type_id or 1000 + company_id
    with as_company(company_id):
        company = Company(
            id=company_id,
            name=f"Company {slug}",
            slug=slug,
            time_zone=time_zone,
            locale=locale,
            created_at=clock.now(),
            calcom_base_url=calcom_url,
            webhook_token=f"token-{slug}",
            phone_token=f"phone-{slug}",
        )
        vault: Vault = current_app.extensions["vault"]
        company.set_secret(Secret.API_KEY, api_key, vault)
        company.set_secret(Secret.WEBHOOK_SECRET, f"secret-{slug}", vault)
        company.set_secret(Secret.RETELL_KEY, f"key-{slug}", vault)
        db.session.add(company)
        db.session.flush()
        service = Service(
            name="Consultation",
            duration_minutes=30,
            calcom_event_type_id=event_type_id,
            calcom_host=company.calcom_host,
            created_at=clock.now(),
        )
        customer = _customer(f"{slug}-customer@example.org")
        db.session.add_all([service, customer])
        db.session.flush()
        tenant = Tenant(
            company_id,
            slug,
            company.name,
            service.id,
            event_type_id,
            customer.id,
            customer.email or "",
            company.webhook_token,
            f"secret-{slug}",
            company.phone_token,
            f"key-{slug}",
        )
        db.session.commit()
    return tenant


def make_person(
    tenant: Tenant, role: Role = Role.ADMIN, *, email: str | None = None, locale: str = "en"
) -> Person:
    email = email or f"{role.value}-{next(_numbers)}@{tenant.slug}.test"
    with as_company(tenant.id):
        user = User(
            email=email,
            email_folded=fold(email),
            name=f"{role.value.title()} of {tenant.slug}",
            password_hash=_password_hash(),
            role=role,
            locale=locale,
            created_at=clock.now(),
        )
        db.session.add(user)
        db.session.commit()
        return Person(user.id, tenant.id, email, role)


def make_customer(tenant: Tenant, email: str | None = None, **columns: Any) -> int:
    with as_company(tenant.id):
        customer = _customer(email or f"customer-{next(_numbers)}@example.org", **columns)
        db.session.add(customer)
        db.session.commit()
        return customer.id


def make_service(tenant: Tenant, *, event_type_id: int | None = None, **columns: Any) -> int:
    with as_company(tenant.id):
        company = db.session.get_one(Company, tenant.id)
        service = Service(
            **{
                "name": f"Service {next(_numbers)}",
                "duration_minutes": 30,
                "calcom_event_type_id": event_type_id,
                "calcom_host": company.calcom_host if event_type_id else None,
                "created_at": clock.now(),
                **columns,
            }
        )
        db.session.add(service)
        db.session.commit()
        return service.id


def make_appointment(
    tenant: Tenant,
    *,
    starts_at: datetime | None = None,
    state: SyncState = SyncState.SYNCED,
    status: AppointmentStatus = AppointmentStatus.CONFIRMED,
    flagged: bool = False,
    **columns: Any,
) -> int:
    """An appointment in some state, without having been pushed: for pages, not for the engine."""
    now = clock.now()
    starts_at = starts_at or now.replace(minute=0, second=0, microsecond=0) + timedelta(days=2)
    with as_company(tenant.id):
        appointment = Appointment(
            **{
                "customer_id": tenant.customer_id,
                "service_id": tenant.service_id,
                "starts_at": starts_at,
                "ends_at": starts_at + timedelta(minutes=30),
                "status": status,
                "created_at": now,
                "created_by_origin": Origin.ADMIN,
                "calcom_sync_status": state,
                "sync_origin": Origin.ADMIN,
                "sync_initiated_at": now,
                "sync_verified_at": now if state is SyncState.SYNCED else None,
                "requires_manual_review": flagged,
                "manual_review_flagged_at": now if flagged else None,
                **columns,
            }
        )
        db.session.add(appointment)
        db.session.commit()
        return appointment.id


def make_discrepancy(
    tenant: Tenant,
    appointment_id: int | None = None,
    *,
    type_: DiscrepancyType = DiscrepancyType.DATA_MISMATCH,
    code: str = "DATA_MISMATCH",
    **columns: Any,
) -> int:
    if appointment_id is None:
        appointment_id = make_appointment(tenant, state=SyncState.FAILED, flagged=True)
    with as_company(tenant.id):
        discrepancy = Discrepancy(
            **{
                "appointment_id": appointment_id,
                "type": type_,
                "code": code,
                "evidence": {},
                "opened_at": clock.now(),
                "last_seen_at": clock.now(),
                **columns,
            }
        )
        db.session.add(discrepancy)
        db.session.commit()
        return discrepancy.id


def make_run(tenant: Tenant, *, is_running: bool = False, **columns: Any) -> int:
    """A run as it ended, or one that nobody works on."""
    now = clock.now()
    ended = {"status": RunStatus.DONE, "finished_at": now + timedelta(seconds=90)}
    with as_company(tenant.id):
        run = Run(
            **{
                "scope": RunScope.REQUESTED,
                "started_at": now,
                "lease_until": now + timedelta(days=1),
                **({} if is_running else ended),
                **columns,
            }
        )
        db.session.add(run)
        db.session.commit()
        return run.id


def make_incident(
    tenant: Tenant, cause: IncidentCause = IncidentCause.TOO_MANY_MISSING, **columns: Any
) -> int:
    """An open incident; `evidence` adds to its figures."""
    evidence = {"cause": cause.value, **columns.pop("evidence", {})}
    with as_company(tenant.id):
        incident = Incident(
            **{
                "type": IncidentType.VERIFICATION_UNTRUSTED,
                "evidence": evidence,
                "opened_at": clock.now(),
                "last_seen_at": clock.now(),
                **columns,
            }
        )
        db.session.add(incident)
        db.session.commit()
        return incident.id


def make_notification(person: Person, appointment_id: int | None = None, **columns: Any) -> int:
    with as_company(person.company_id):
        notification = Notification(
            **{
                "user_id": person.id,
                "type": NotificationType.SYNC_FAILED,
                "subject": f"appointment:{appointment_id or next(_numbers)}",
                "appointment_id": appointment_id,
                "created_at": clock.now(),
                "last_at": clock.now(),
                **columns,
            }
        )
        db.session.add(notification)
        db.session.commit()
        return notification.id


def make_token(
    tenant: Tenant, *scopes: Scope, expires_at: datetime | None = None, name: str = "Partner"
) -> Token:
    """An API token; with every scope unless some are named."""
    with as_company(tenant.id):
        issued = issue_token(
            db.session(),
            name=name,
            scopes=scopes or set(Scope),
            expires_at=expires_at,
            actor=Actor.OPERATOR,
            user_id=None,
            now=clock.now(),
        )
        db.session.commit()
    return Token(issued.id, tenant.id, issued.text)


def make_delivery(tenant: Tenant, appointment_id: int | None = None, **columns: Any) -> int:
    """A webhook that was worked off."""
    number = next(_numbers)
    body = {"triggerEvent": "BOOKING_CREATED", "payload": {"uid": f"uid{number:019}"}}
    with as_company(tenant.id):
        delivery = Delivery(
            **{
                "received_at": clock.now(),
                "trigger": "BOOKING_CREATED",
                "booking_uid": body["payload"]["uid"],  # type: ignore[index]
                "body": body,
                "body_hash": number.to_bytes(32, "big"),
                "status": DeliveryStatus.APPLIED,
                "due_at": clock.now(),
                "finished_at": clock.now(),
                "appointment_id": appointment_id,
                **columns,
            }
        )
        db.session.add(delivery)
        db.session.commit()
        return delivery.id


def make_bulk_action(
    person: Person, discrepancy_ids: list[int], kind: Action = Action.RETRY, **columns: Any
) -> int:
    """A bulk action over these findings, none of them begun."""
    with as_company(person.company_id):
        bulk = BulkAction(
            **{
                "kind": kind,
                "requested_by_user_id": person.id,
                "item_count": len(discrepancy_ids),
                "created_at": clock.now(),
                "lease_until": clock.now(),
                **columns,
            }
        )
        db.session.add(bulk)
        db.session.flush()
        for discrepancy_id in discrepancy_ids:
            finding = db.session.get_one(Discrepancy, (person.company_id, discrepancy_id))
            item = BulkItem(
                bulk_action_id=bulk.id,
                discrepancy_id=discrepancy_id,
                appointment_id=finding.appointment_id,
            )
            db.session.add(item)
        db.session.commit()
        return bulk.id


def _customer(email: str, **columns: Any) -> Customer:
    name = columns.pop("name", "Erika Beispiel")
    return Customer(
        **{
            "name": name,
            "name_folded": fold(name),
            "email": email,
            "email_folded": fold(email),
            "phone": None,
            "time_zone": "Europe/Berlin",
            "language": "de",
            "created_at": clock.now(),
            **columns,
        }
    )


@cache
def _password_hash() -> str:
    """Hashed once: argon2 is slow on purpose."""
    return PasswordHasher(time_cost=1, memory_cost=8, parallelism=1).hash(PASSWORD)
