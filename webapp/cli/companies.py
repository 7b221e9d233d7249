"""Make, connect and check companies."""

import click
from flask.cli import AppGroup

from webapp import clock
from webapp.application import settings, vault
from webapp.calcom.errors import CalcomError, Unauthorised
from webapp.cli.asking import acting_for, ask, refusing_politely
from webapp.extensions import db
from webapp.jobs.check import judge_address
from webapp.jobs.connection import open_client
from webapp.jobs.runs import go_on
from webapp.jobs.traffic import Traffic, read_traffic
from webapp.models.company import Company
from webapp.models.crossing import company_ids, next_company_id
from webapp.models.run import Run, RunScope
from webapp.models.tenancy import as_company, require_company_id
from webapp.sync.connection import mark_connected, mark_disconnected
from webapp.sync.onboarding import connect_company, connect_phone, create_company
from webapp.sync.pausing import waiting_changes
from webapp.sync.runs import start_run

company = AppGroup("company", help="Make, connect and check companies.")


@company.command("create")
@click.argument("slug")
@click.option("--name", required=True)
@click.option("--time-zone", default="Europe/Berlin", show_default=True)
@click.option("--locale", type=click.Choice(["de", "en"]), default="de", show_default=True)
def create_company_command(slug: str, name: str, time_zone: str, locale: str) -> None:
    """Make a company; SLUG is its short name on this command line."""
    company_id = next_company_id(db.session())
    db.session.rollback()
    with as_company(company_id), refusing_politely():
        create_company(
            db.session(),
            slug=slug,
            name=name,
            time_zone=time_zone,
            locale=locale,
            now=clock.now(),
        )
        db.session.commit()
        click.echo(f"{slug}: company {company_id}")
        click.echo(f"Webhook address: {webhook_address()}")


@company.command("list")
def list_companies_command() -> None:
    """Every company with its connection."""
    ids = company_ids(db.session())
    db.session.rollback()
    for company_id in ids:
        with as_company(company_id):
            row = db.session.get_one(Company, company_id)
            state = "no key" if row.calcom_api_key is None else row.connection_state.value
            click.echo(f"{row.slug}\t{row.name}\t{row.calcom_base_url}\t{state}")


@company.command("status")
@click.argument("slug", required=False)
def show_status_command(slug: str | None) -> None:
    """Whether changes reach Cal.com: connection, pause, breaker, calls used, changes under way."""
    if slug is not None:
        with acting_for(slug):
            _say_status()
        return
    ids = company_ids(db.session())
    db.session.rollback()
    for company_id in ids:
        with as_company(company_id):
            _say_status()


@company.command("connect")
@click.argument("slug")
@click.option("--base-url", required=True, help="e.g. https://api.cal.com/v2")
def connect_company_command(slug: str, base_url: str) -> None:
    """Set the Cal.com connection; API key and webhook secret come from standard input, a line each.

    An empty second line leaves the webhook secret as it is. A former one stays valid, until an
    admin retires it or the next one is set: Cal.com signs with it until it is told.
    """
    with acting_for(slug), refusing_politely():
        api_key, webhook_secret = ask("API key"), ask("Webhook secret") or None
        judge_address(base_url)
        unbound = connect_company(
            db.session(),
            vault(),
            base_url=base_url,
            api_key=api_key,
            webhook_secret=webhook_secret,
            allow_private_networks=settings().allow_private_networks,
            now=clock.now(),
        )
        db.session.commit()
        if unbound:
            click.echo(f"{unbound} services lost their event types, which were the other server's")
        _check_connection()
        click.echo(f"Webhook address: {webhook_address()}")


@company.command("webhook")
@click.argument("slug")
def show_webhook_command(slug: str) -> None:
    """Print the address that Cal.com has to call."""
    with acting_for(slug):
        click.echo(webhook_address())


@company.command("connect-phone")
@click.argument("slug")
@click.option(
    "--unchecked/--only-checked",
    "takes_unchecked",
    default=None,
    help="whether appointments are taken while Cal.com can't be asked; left out: as it is",
)
def connect_phone_command(slug: str, takes_unchecked: bool | None) -> None:
    """Let a Retell voice agent book: its API key comes from standard input. Prints the address."""
    with acting_for(slug), refusing_politely():
        connect_phone(
            db.session(),
            vault(),
            api_key=ask("Retell API key"),
            takes_unchecked=takes_unchecked,
            now=clock.now(),
        )
        db.session.commit()
        _say_phone()


@company.command("phone")
@click.argument("slug")
def show_phone_command(slug: str) -> None:
    """Print the address that the voice agent has to call."""
    with acting_for(slug):
        _say_phone()


@company.command("verify")
@click.argument("slug")
def verify_company_command(slug: str) -> None:
    """Compare all of a company's appointments with Cal.com now, in this process."""
    with acting_for(slug):
        company_id = require_company_id()
        run_id = start_run(db.session(), scope=RunScope.REQUESTED, now=clock.now())
        db.session.commit()
    if run_id is None:
        raise click.ClickException("a verification of this company is running already")
    go_on(company_id, run_id)
    with as_company(company_id):
        run = db.session.get_one(Run, (company_id, run_id))
        click.echo(
            f"{run.status.value}: {run.compared_count} compared, {run.agreed_count} agree,"
            f" {run.disagreed_count} don't, {run.error_count} errors, {run.skipped_count} skipped"
        )
        if run.error_code:
            raise click.ClickException(f"the run ended early: {run.error_code}")


def _say_status() -> None:
    traffic = read_traffic()
    row = db.session.get_one(Company, require_company_id())
    state = "no key" if row.calcom_api_key is None else row.connection_state.value
    since = f"{row.paused_at:%Y-%m-%d %H:%M}Z" if row.paused_at else ""
    pause = f"paused by {row.paused_by} since {since}" if since else ""
    waiting = f"{waiting_changes(db.session())} changes under way"
    parts = [row.slug, f"connection {state}", pause, *_traffic_words(traffic), waiting]
    click.echo("\t".join(part for part in parts if part))


def _traffic_words(traffic: Traffic | None) -> list[str]:
    if traffic is None:
        return ["breaker and budget unknown: Redis is away"]
    breaker, budget = traffic.breaker, traffic.budget
    until = f" until {breaker.open_until:%H:%M:%S}Z" if breaker.open_until else ""
    words = [f"breaker {breaker.circuit.value}{until}, {breaker.failures} failures in a row"]
    if budget is not None:
        wait = f", waits until {budget.paused_until:%H:%M:%S}Z" if budget.paused_until else ""
        words.append(f"{budget.used} of {budget.limit} calls a minute{wait}")
    return words


def webhook_address() -> str:
    row = db.session.get_one(Company, require_company_id())
    return f"{settings().public_url}/webhooks/calcom/{row.webhook_token}"


def _say_phone() -> None:
    row = db.session.get_one(Company, require_company_id())
    click.echo(f"{settings().public_url}/webhooks/retell/{row.phone_token}")
    if row.retell_api_key is None:
        click.echo("It has no key yet: company connect-phone", err=True)
    elif not row.takes_calls_unchecked:
        click.echo("While Cal.com can't be asked it takes no appointments", err=True)


def _check_connection() -> None:
    """Say whether Cal.com takes the key; the connection stays set either way."""
    try:
        with open_client() as client:
            account = client.me()
    except CalcomError as error:
        if isinstance(error, Unauthorised):
            mark_disconnected(db.session(), error.code, now=clock.now())
            db.session.commit()
        raise click.ClickException(f"saved, but Cal.com says: {error.message}") from None
    mark_connected(db.session(), now=clock.now())
    db.session.commit()
    click.echo(f"Connected as {account.name or account.username}")
