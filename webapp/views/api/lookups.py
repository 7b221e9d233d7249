"""What a client needs beside the appointments: the services, the numbers."""

from pydantic import BaseModel
from sqlalchemy import select

from webapp import clock
from webapp.extensions import db
from webapp.insight.stats import count_cards, window_first_day
from webapp.models.api_token import Scope
from webapp.models.company import Company
from webapp.models.run import latest_run
from webapp.models.service import Service as ServiceRow
from webapp.models.tenancy import require_company_id
from webapp.sync.pausing import waiting_changes
from webapp.views.api.descriptions import describe_run, describe_service
from webapp.views.api.operations import reads
from webapp.views.api.shapes import ServiceList, Stats


@reads(
    "/services",
    group="Services",
    scope=Scope.APPOINTMENTS_READ,
    answer=ServiceList,
)
def list_services() -> BaseModel:
    """List the services

    All of them, by id, also those that are not offered at the moment.
    """
    rows = db.session.scalars(
        select(ServiceRow)
        .where(ServiceRow.company_id == require_company_id())
        .order_by(ServiceRow.id)
    )
    return ServiceList(data=[describe_service(row) for row in rows])


@reads(
    "/stats",
    group="Stats",
    scope=Scope.STATS_READ,
    answer=Stats,
)
def get_stats() -> BaseModel:
    """Get the numbers of the overview"""
    company = db.session.get_one(Company, require_company_id())
    now = clock.now()
    cards = count_cards(db.session(), now, company.zone)
    return Stats(
        since=window_first_day(now, company.zone),
        synced=cards.synced,
        pending=cards.pending,
        failures=cards.failures,
        total=cards.total,
        requires_review=cards.review,
        waiting_changes=waiting_changes(db.session()),
        paused_at=company.paused_at,
        last_verification=describe_run(latest_run(db.session())),
    )
