"""Deliveries: what Cal.com's webhook brought, what came of it, and running one again, first as a
rehearsal that keeps nothing."""

import json
from typing import Any

from flask import Blueprint, flash, render_template, request, url_for
from flask.typing import ResponseReturnValue

from webapp import clock
from webapp.application import settings
from webapp.calcom.errors import CalcomError
from webapp.extensions import db
from webapp.jobs.deliveries import rehearse
from webapp.jobs.queues import hand_over
from webapp.models.audit import Actor, record_audit
from webapp.models.company import Company
from webapp.models.delivery import Delivery, DeliveryStatus, request_run
from webapp.models.history import effects_of
from webapp.models.remote_change import latest_missed, recent_announcements
from webapp.models.tenancy import require_company_id
from webapp.views import htmx
from webapp.views.access import acting, company_zone, find_or_404, require_person
from webapp.views.delivery_list import (
    TRIGGERS,
    cursor_of,
    parse_delivery_filters,
    query_deliveries,
)
from webapp.views.pages import render_page
from webapp.views.paging import fetch_page
from webapp.views.words import gettext as _

blueprint = Blueprint("deliveries", __name__, url_prefix="/deliveries")

MISSED_ROWS = 5
HOURS_SHOWN = (24, 7 * 24)


@blueprint.get("")
def index() -> ResponseReturnValue:
    filters = parse_delivery_filters(request.args)
    query = query_deliveries(filters, company_zone())
    return render_page(
        "deliveries/index.html",
        page=fetch_page(db.session(), query, cursor_of),
        filters=filters,
        triggers=TRIGGERS,
        statuses=list(DeliveryStatus),
        company=db.session.get_one(Company, require_company_id()),
        announcements=[recent_announcements(db.session(), clock.now(), h) for h in HOURS_SHOWN],
        missed=latest_missed(db.session(), MISSED_ROWS),
        webhook_address=_webhook_address(),
    )


@blueprint.get("/<int:delivery_id>")
def show(delivery_id: int) -> ResponseReturnValue:
    return _show(find_or_404(Delivery, delivery_id))


@blueprint.get("/<int:delivery_id>/outcome")
def outcome(delivery_id: int) -> ResponseReturnValue:
    """What came of it; asks again by itself while it is being worked on."""
    return render_template("deliveries/_outcome.html", **_facts(delivery_id))


@blueprint.post("/<int:delivery_id>/dry-runs")
@acting
def rehearse_one(delivery_id: int) -> ResponseReturnValue:
    """What it would change now. It changes nothing, so without script the page itself answers."""
    find_or_404(Delivery, delivery_id)
    db.session.rollback()
    context: dict[str, Any] = {"rehearsal": None, "error": None}
    try:
        context["rehearsal"] = rehearse(delivery_id)
    except CalcomError as error:
        context["error"] = error.code
    if htmx.is_htmx():
        return render_template("deliveries/_rehearsal.html", **context)
    return _show(find_or_404(Delivery, delivery_id), **context)


@blueprint.post("/<int:delivery_id>/runs")
@acting
def run(delivery_id: int) -> ResponseReturnValue:
    """Work it off again, for real."""
    delivery, person, now = find_or_404(Delivery, delivery_id), require_person(), clock.now()
    before = {"status": delivery.status.value, "reason": delivery.reason}
    is_requested = request_run(db.session(), delivery_id, now=now)
    if is_requested:
        record_audit(
            db.session(),
            "delivery.run_again",
            f"delivery:{delivery_id}",
            at=now,
            actor=Actor.USER,
            user_id=person.id,
            before=before,
        )
    db.session.commit()
    if is_requested:
        hand_over("delivery", person.company_id, delivery_id)
    flash(_("It is run again.") if is_requested else _("It is being worked on already."), "info")
    return htmx.see_other(url_for(".show", delivery_id=delivery_id))


def _show(delivery: Delivery, **rehearsed: Any) -> str:
    return render_page(
        "deliveries/show.html",
        **_facts(delivery.id),
        body=json.dumps(delivery.body, indent=2, ensure_ascii=False),
        **{"rehearsal": None, "error": None, **rehearsed},
    )


def _facts(delivery_id: int) -> dict[str, Any]:
    delivery = find_or_404(Delivery, delivery_id)
    return {
        "delivery": delivery,
        "events": effects_of(db.session(), delivery.id),
        "is_working": delivery.status is DeliveryStatus.RECEIVED,
    }


def _webhook_address() -> str | None:
    """For admins: whoever knows it can knock."""
    if not require_person().is_admin:
        return None
    company = db.session.get_one(Company, require_company_id())
    return settings().public_url + url_for("calcom_webhook.receive", token=company.webhook_token)
