"""What the commands share: acting for a company, asking, and refusing in a sentence."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager

import click
from redis import Redis
from redis.exceptions import RedisError
from sqlalchemy.exc import IntegrityError

from webapp.application import settings
from webapp.extensions import db
from webapp.jobs.queues import connect_for_web
from webapp.models.crossing import company_ids, company_of_slug
from webapp.models.tenancy import as_company, require_company_id
from webapp.sync.onboarding import InvalidValue


@contextmanager
def acting_for(slug: str) -> Iterator[None]:
    """Act for the company of this short name."""
    company_id = company_of_slug(db.session(), slug)
    db.session.rollback()
    if company_id is None:
        raise click.ClickException(f"there is no company '{slug}'; `company list` shows all")
    with as_company(company_id):
        yield


def each_company(slug: str | None) -> Iterator[int]:
    """Act for the company of this short name, or for every one in turn; yields its id."""
    if slug is not None:
        with acting_for(slug):
            yield require_company_id()
        return
    ids = company_ids(db.session())
    db.session.rollback()
    for company_id in ids:
        with as_company(company_id):
            yield company_id


@contextmanager
def needing_redis() -> Iterator[Redis]:
    """The connection to Redis; a sentence where it is away."""
    try:
        yield connect_for_web(settings().redis_url)
    except RedisError as error:
        raise click.ClickException(f"Redis can't be reached: {type(error).__name__}") from None


@contextmanager
def refusing_politely() -> Iterator[None]:
    """A sentence instead of a trace for what was typed wrongly."""
    try:
        yield
    except IntegrityError as error:
        raise click.ClickException(_why(error)) from None
    except (InvalidValue, ValueError) as error:
        raise click.ClickException(str(error)) from None


def _why(error: IntegrityError) -> str:
    constraint = getattr(getattr(error.orig, "diag", None), "constraint_name", None)
    known = {
        "uq_companies_slug": "a company of this short name exists already",
        "uq_users_email_folded": "somebody logs in with this e-mail already",
        "ck_companies_slug_form": "a short name has lower-case letters, digits and hyphens",
        "uq_services_event_type": "another company offers one of these event types on that host",
    }
    return known.get(constraint or "", f"the database refused it: {constraint}")


def ask(what: str) -> str:
    """A line of standard input; without echo at a terminal."""
    if sys.stdin.isatty():
        return str(click.prompt(what, hide_input=True, default="", show_default=False))
    return sys.stdin.readline().strip()
