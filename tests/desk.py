"""A company connected to a sandbox, for tests of the engine: what a person does at the desk, the
work that is due done in this process, and what Cal.com then holds."""

from datetime import datetime, timedelta
from typing import Any

import httpx
from sqlalchemy import select

from tests.factories import Tenant, make_company
from webapp import clock
from webapp.extensions import db
from webapp.jobs import push
from webapp.jobs.inline import run_job, work_off_due
from webapp.models.appointment import Appointment, AppointmentStatus, Origin
from webapp.models.company import Company, ConnectionState
from webapp.models.customer import Customer
from webapp.models.discrepancy import Discrepancy
from webapp.models.history import HistoryEvent
from webapp.models.intent import Intent
from webapp.models.notification import Notification
from webapp.models.run import Run, RunScope
from webapp.models.service import Service
from webapp.models.tenancy import as_company
from webapp.sandbox.server import RunningSandbox
from webapp.sync.booking import book_appointment, cancel_appointment, reschedule_appointment
from webapp.sync.carry import Carried
from webapp.sync.push import Claim, claim_intent
from webapp.sync.review import push_again, request_retry
from webapp.sync.runs import start_run
from webapp.sync.settle import Settled, settle_push
from webapp.sync.verify import request_verification


class Cal:
    """The sandbox's control door, in test words."""

    def __init__(self, url: str, account: str) -> None:
        self._http = httpx.Client(base_url=url, timeout=30)
        self.account = account

    def state(self, **query: str) -> Any:
        return self._get("/_sandbox/state", account=self.account, **query)

    def bookings(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self.state(only="bookings")["bookings"]
        return found

    def live_bookings(self) -> list[dict[str, Any]]:
        return [each for each in self.bookings() if each["status"] in ("accepted", "pending")]

    def mails(self) -> list[str]:
        return [mail["kind"] for mail in self.state(only="mails")["mails"]]

    def operations(self) -> list[str]:
        return [call["operation"] for call in self.state(only="calls")["calls"]]

    def fail(self, *faults: dict[str, Any]) -> None:
        self._http.put("/_sandbox/faults", json=list(faults)).raise_for_status()

    def heal(self) -> None:
        self._http.delete("/_sandbox/faults").raise_for_status()

    def listen(self, address: str, secret: str) -> None:
        """Send this account's webhooks there."""
        triggers = ["BOOKING_CREATED", "BOOKING_RESCHEDULED", "BOOKING_REQUESTED"]
        triggers += ["BOOKING_CANCELLED", "BOOKING_REJECTED", "MEETING_ENDED"]
        self.put(
            "webhooks",
            {
                "account": self.account,
                "subscriberUrl": address,
                "triggers": [*triggers, "BOOKING_NO_SHOW_UPDATED"],
                "secret": secret,
                "active": True,
            },
        )

    def vanish(self, uid: str) -> None:
        self._http.delete(f"/_sandbox/bookings/{uid}").raise_for_status()

    def change(self, uid: str, change: str, **body: Any) -> Any:
        answer = self._http.post(f"/_sandbox/bookings/{uid}/{change}", json=body)
        return answer.raise_for_status().json()

    def book(self, **body: Any) -> Any:
        return self._http.post("/_sandbox/bookings", json=body).raise_for_status().json()

    def _get(self, path: str, **query: str) -> Any:
        return self._http.get(path, params=query).raise_for_status().json()

    def put(self, what: str, body: dict[str, Any]) -> Any:
        answer = self._http.post(f"/_sandbox/{what}", json=body)
        assert answer.is_success, answer.text
        return answer.json()


class Desk:
    """One company and its Cal.com. Enter an application context before using it."""

    def __init__(self, sandbox: RunningSandbox, slug: str = "sonnenschein") -> None:
        self.cal = Cal(sandbox.url, f"{slug}@cal.test")
        self.url = sandbox.url
        account = self.cal.put("accounts", {"email": f"{slug}@cal.test", "key": f"cal_{slug}"})
        event_type = self.cal.put(
            "event-types",
            {
                "account": account["id"],
                "title": "Consultation",
                "slug": "consultation",
                "lengthInMinutes": 30,
            },
        )
        self.company: Tenant = make_company(
            slug,
            calcom_url=f"{sandbox.url}/v2",
            api_key=f"cal_{slug}",
            event_type_id=event_type["id"],
        )
        # As the connection's test leaves it; else the first push would ask whose key it is.
        self._write_company(connection_state=ConnectionState.OK)

    def book(self, starts_at: datetime | None = None) -> int:
        with as_company(self.company.id):
            change = book_appointment(
                db.session(),
                customer=db.session.get_one(Customer, (self.company.id, self.company.customer_id)),
                service=db.session.get_one(Service, (self.company.id, self.company.service_id)),
                starts_at=starts_at or in_days(2),
                origin=Origin.ADMIN,
                now=clock.now(),
            )
            db.session.commit()
        return change.appointment_id

    def move(self, appointment_id: int, starts_at: datetime) -> None:
        with as_company(self.company.id):
            reschedule_appointment(
                db.session(),
                self._row(appointment_id),
                starts_at,
                origin=Origin.ADMIN,
                now=clock.now(),
            )
            db.session.commit()

    def cancel(self, appointment_id: int, reason: str = "Ill") -> None:
        with as_company(self.company.id):
            cancel_appointment(
                db.session(),
                self._row(appointment_id),
                reason=reason,
                origin=Origin.ADMIN,
                now=clock.now(),
            )
            db.session.commit()

    def ask_to_verify(self, appointment_id: int) -> None:
        with as_company(self.company.id):
            request_verification(
                db.session(), self._row(appointment_id), now=clock.now(), user_id=None
            )
            db.session.commit()

    def retry(self, appointment_id: int) -> bool:
        with as_company(self.company.id):
            taken = request_retry(
                db.session(), self._row(appointment_id), now=clock.now(), user_id=None
            )
            db.session.commit()
        return taken

    def push_again(self, appointment_id: int) -> bool:
        with as_company(self.company.id):
            change = push_again(
                db.session(), self._row(appointment_id), now=clock.now(), user_id=None
            )
            db.session.commit()
        return change is not None

    def claim(self, intent_id: int) -> Claim:
        """What a worker does first."""
        with as_company(self.company.id):
            claim = claim_intent(db.session(), intent_id, now=clock.now(), lease=push._lease())
            db.session.commit()
        assert claim is not None
        return claim

    def die_with_claim(self, intent_id: int, *, after_calling: bool = False) -> None:
        """A worker takes an intent and is never heard of again."""
        claim = self.claim(intent_id)
        if after_calling:
            with as_company(self.company.id):
                assert push._call(claim).error is None

    def settle_claim(self, claim: Claim, carried: Carried) -> Settled:
        """What a worker does last."""
        with as_company(self.company.id):
            settled = settle_push(
                db.session(), claim, carried, now=clock.now(), pauses=push._pauses()
            )
            db.session.commit()
        return settled

    def carry_and_settle(self, claim: Claim) -> Settled:
        """What a worker does with what it has claimed."""
        with as_company(self.company.id):
            carried = push._call(claim)
        return self.settle_claim(claim, carried)

    def pause(self) -> None:
        self._write_company(paused_at=clock.now(), paused_by="An admin")

    def resume(self) -> None:
        self._write_company(paused_at=None, paused_by=None)

    def forget_event_type(self) -> None:
        with as_company(self.company.id):
            service = db.session.get_one(Service, (self.company.id, self.company.service_id))
            service.calcom_event_type_id = service.calcom_host = None
            db.session.commit()

    def _write_company(self, **columns: Any) -> None:
        with as_company(self.company.id):
            company = db.session.get_one(Company, self.company.id)
            for name, value in columns.items():
                setattr(company, name, value)
            db.session.commit()

    def verify_automatically(self, appointment_id: int) -> None:
        """What a run does with one appointment, without anybody having asked."""
        clock.advance(timedelta(minutes=10))
        run_job("verification", self.company.id, appointment_id)

    def start_run(self) -> int | None:
        with as_company(self.company.id):
            run_id = start_run(db.session(), scope=RunScope.REQUESTED, now=clock.now())
            db.session.commit()
        return run_id

    def run(self) -> Run:
        """Verify the whole company; returns the run as it ended, detached."""
        run_id = self.start_run()
        assert run_id is not None, "a run is running already"
        run_job("run", self.company.id, run_id)
        with as_company(self.company.id):
            run = db.session.get_one(Run, (self.company.id, run_id))
            db.session.expunge(run)
            return run

    def set_status(self, appointment_id: int, status: AppointmentStatus) -> None:
        with as_company(self.company.id):
            self._row(appointment_id).status = status
            db.session.commit()

    def work(self) -> None:
        """Do whatever is due now, until nothing is."""
        work_off_due()

    def settle(self) -> None:
        """Let every webhook arrive and take effect."""
        self.cal.put("settle", {"seconds": 10})
        self.work()

    def work_through(self, seconds: float, step: float = 1.0) -> None:
        """Let time pass, doing what falls due meanwhile."""
        passed = 0.0
        self.work()
        while passed < seconds:
            clock.advance(timedelta(seconds=step))
            passed += step
            self.work()

    def appointment(self, appointment_id: int) -> Appointment:
        """The row as it is now, detached."""
        with as_company(self.company.id):
            row = self._row(appointment_id)
            db.session.expunge(row)
            return row

    def events(self, appointment_id: int) -> list[str]:
        with as_company(self.company.id):
            rows = db.session.scalars(
                select(HistoryEvent)
                .where(HistoryEvent.appointment_id == appointment_id)
                .order_by(HistoryEvent.id)
            )
            return [row.kind.value for row in rows]

    def evidence(self, appointment_id: int) -> Any:
        """What the open discrepancy of an appointment says."""
        with as_company(self.company.id):
            return db.session.scalars(
                select(Discrepancy.evidence).where(
                    Discrepancy.appointment_id == appointment_id, Discrepancy.resolved_at.is_(None)
                )
            ).one()

    def open_findings(self) -> list[tuple[int, str, str]]:
        with as_company(self.company.id):
            rows = db.session.scalars(
                select(Discrepancy).where(Discrepancy.resolved_at.is_(None)).order_by("id")
            )
            return [(row.appointment_id, row.type.value, row.code) for row in rows]

    def inbox(self, user_id: int) -> list[tuple[str, bool]]:
        """`(type, still open)` of what a person was told."""
        with as_company(self.company.id):
            rows = db.session.scalars(
                select(Notification).where(Notification.user_id == user_id).order_by("id")
            )
            return [(row.type.value, row.closed_at is None) for row in rows]

    def intents(self, appointment_id: int) -> list[Intent]:
        with as_company(self.company.id):
            rows = list(
                db.session.scalars(
                    select(Intent)
                    .where(Intent.appointment_id == appointment_id)
                    .order_by(Intent.id)
                )
            )
            for row in rows:
                db.session.expunge(row)
            return rows

    def appointments(self) -> list[int]:
        with as_company(self.company.id):
            return list(db.session.scalars(select(Appointment.id).order_by(Appointment.id)))

    def _row(self, appointment_id: int) -> Appointment:
        return db.session.get_one(Appointment, (self.company.id, appointment_id))


def in_days(days: int, hour: int = 10) -> datetime:
    """A full hour that many days ahead, UTC."""
    return (clock.now() + timedelta(days=days)).replace(
        hour=hour, minute=0, second=0, microsecond=0
    )
