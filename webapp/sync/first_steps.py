"""How far a new company has come, read from facts and not from a step number that was stored: so it
can be left and taken up again anywhere, and what an operator did on the command line counts too."""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import exists, select
from sqlalchemy.orm import Session

from webapp.models.appointment import Appointment
from webapp.models.company import Company, ConnectionState
from webapp.models.delivery import first_received_at
from webapp.models.run import Run, RunScope, RunStatus
from webapp.models.service import Service
from webapp.models.sync_state import SyncState
from webapp.models.tenancy import require_company_id
from webapp.sync.runs import start_run

_IS_SETTLED = Appointment.calcom_sync_status != SyncState.ORPHANED_CALCOM


@dataclass(frozen=True, slots=True, kw_only=True)
class FirstSteps:
    """What is there. `proven_at`: Cal.com's first delivery since the webhook was registered;
    `error_code`: why Cal.com doesn't take the key."""

    has_key: bool
    error_code: str | None
    is_connected: bool
    has_services: bool
    registered_at: datetime | None
    proven_at: datetime | None
    run: Run | None
    has_appointments: bool
    """Others than those that a run has found on Cal.com and nobody has settled yet."""

    @property
    def has_webhook(self) -> bool:
        return self.proven_at is not None

    @property
    def has_run_import(self) -> bool:
        return self.run is not None and self.run.status is RunStatus.DONE

    @property
    def awaits_calcom(self) -> bool:
        """Registered, but not heard: nothing here need wait for it, and a person can look why."""
        return self.registered_at is not None and not self.has_webhook

    @property
    def has_imported(self) -> bool:
        """A company that has appointments has begun, however they came."""
        return self.has_run_import or self.has_appointments

    @property
    def is_set_up(self) -> bool:
        return self.is_connected and self.has_services and self.has_webhook and self.has_imported

    @property
    def current(self) -> str:
        """The first step that is not done: key, services, webhook or import; none: empty."""
        states = {
            "key": self.is_connected,
            "services": self.has_services,
            "webhook": self.has_webhook or self.awaits_calcom,
            "import": self.has_imported,
        }
        return next((name for name, is_done in states.items() if not is_done), "")


def read_first_steps(session: Session) -> FirstSteps:
    """The current company's."""
    company = session.get_one(Company, require_company_id(), populate_existing=True)
    has_key = company.calcom_api_key is not None
    return FirstSteps(
        has_key=has_key,
        error_code=company.connection_error_code,
        is_connected=has_key and company.connection_state is ConnectionState.OK,
        has_services=_is_there(session, Service, Service.calcom_event_type_id.is_not(None)),
        registered_at=company.webhook_registered_at,
        proven_at=first_received_at(session, company.webhook_registered_at),
        run=latest_import(session),
        has_appointments=_is_there(session, Appointment, _IS_SETTLED),
    )


def needs_first_steps(session: Session) -> bool:
    """Whether a company has not begun: nothing to book as, or nothing booked and nothing imported.

    Cheap, for the overview.
    """
    company = session.get_one(Company, require_company_id())
    if company.calcom_api_key is None:
        return True
    if _is_there(session, Appointment, _IS_SETTLED):
        return False
    run = latest_import(session)
    return run is None or run.status is not RunStatus.DONE


def has_begun(session: Session) -> bool:
    """Whether there is anything to compare: an appointment, or a run that a person asked for.

    Until then no periodic run begins: between two steps of the guide it would flag every booking
    that the last step is about to take over.
    """
    return _is_there(session, Appointment) or _is_there(session, Run, Run.status == RunStatus.DONE)


def latest_import(session: Session) -> Run | None:
    """The newest import, running or over."""
    return session.scalar(
        select(Run)
        .where(Run.company_id == require_company_id(), Run.scope == RunScope.IMPORT)
        .order_by(Run.started_at.desc(), Run.id.desc())
        .limit(1)
    )


def start_import(session: Session, *, user_id: int, now: datetime) -> int | None:
    """Begin to take over what is on Cal.com; None where a run is under way."""
    return start_run(session, scope=RunScope.IMPORT, now=now, user_id=user_id)


def _is_there(
    session: Session,
    model: type[Service] | type[Appointment] | type[Run],
    *conditions: object,
) -> bool:
    query = select(model.id).where(
        model.company_id == require_company_id(),
        *conditions,  # type: ignore[arg-type]
    )
    return bool(session.scalar(select(exists(query.limit(1)))))
