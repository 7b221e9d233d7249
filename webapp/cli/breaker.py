"""The circuit breakers: what holds a company's calls to Cal.com back."""

import click
from flask.cli import AppGroup

from webapp import clock
from webapp.calcom.breaker import breaker_state, reset_breaker
from webapp.cli.asking import acting_for, each_company, needing_redis
from webapp.cli.tables import json_option, show_rows
from webapp.extensions import db
from webapp.models.audit import Actor, record_audit
from webapp.models.company import Company
from webapp.models.tenancy import require_company_id
from webapp.sync.connection import release_waiting

breaker = AppGroup("breaker", help="What holds a company's calls to Cal.com back.")


@breaker.command("show")
@click.argument("slug", required=False)
@json_option
def show_breaker_command(slug: str | None, as_json: bool) -> None:
    """Every company's breaker: closed, open until when, or about to try."""
    rows = []
    for company_id in each_company(slug):
        name = db.session.get_one(Company, company_id).slug
        with needing_redis() as connection:
            state = breaker_state(connection, company_id, clock.now())
        rows.append(
            {
                "company": name,
                "circuit": state.circuit.value,
                "failures": state.failures,
                "opened_at": state.opened_at,
                "open_until": state.open_until,
            }
        )
    show_rows(rows, as_json=as_json, nothing="no company")


@breaker.command("reset")
@click.argument("slug")
def reset_breaker_command(slug: str) -> None:
    """Close a company's breaker now; what waited for it is due at once."""
    with acting_for(slug), needing_redis() as connection:
        company_id = require_company_id()
        if not reset_breaker(connection, company_id):
            click.echo(f"{slug}: was closed, without a failure")
            return
        release_waiting(db.session(), now=clock.now())
        subject = f"company:{company_id}"
        record_audit(db.session(), "breaker.reset", subject, at=clock.now(), actor=Actor.OPERATOR)
        db.session.commit()
    click.echo(f"{slug}: closed; what waited goes on")
