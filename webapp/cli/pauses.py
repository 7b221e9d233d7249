"""Pause and resume what is sent to Cal.com, for one company or for all."""

from collections.abc import Callable

import click
from flask.cli import with_appcontext

from webapp import clock
from webapp.cli.asking import acting_for
from webapp.extensions import db
from webapp.models.audit import Actor
from webapp.models.company import Company
from webapp.models.crossing import company_ids
from webapp.models.tenancy import as_company, require_company_id
from webapp.sync.pausing import (
    OPERATOR,
    lift_operators_pause,
    pause_pushing,
    resume_pushing,
    waiting_changes,
)


@click.command("pause")
@click.argument("slug", required=False)
@click.option("--all", "is_for_all", is_flag=True, help="every company")
@with_appcontext
def pause(slug: str | None, is_for_all: bool) -> None:
    """Let changes wait instead of sending them to Cal.com; verification goes on.

    No admin can lift it; what one had paused is so again after `resume --all`.
    """
    _for_each(slug, is_for_all, _pause)


@click.command("resume")
@click.argument("slug", required=False)
@click.option("--all", "is_for_all", is_flag=True, help="every company the operator paused")
@with_appcontext
def resume(slug: str | None, is_for_all: bool) -> None:
    """Send to Cal.com again, what waited first. What an admin paused is resumed by name only."""
    _for_each(slug, is_for_all, _resume_own if is_for_all else _resume)


def _for_each(slug: str | None, is_for_all: bool, act: Callable[[Company], str]) -> None:
    if (slug is None) is not is_for_all:
        raise click.UsageError("say which company: its short name, or --all")
    if slug is not None:
        with acting_for(slug):
            _do(act)
        return
    ids = company_ids(db.session())
    db.session.rollback()
    for company_id in ids:
        with as_company(company_id):
            _do(act)


def _do(act: Callable[[Company], str]) -> None:
    company = db.session.get_one(Company, require_company_id())
    said = f"{company.slug}: {act(company)}"
    db.session.commit()
    click.echo(said)


def _pause(company: Company) -> str:
    author = company.paused_by
    is_paused = pause_pushing(
        db.session(), by=OPERATOR, actor=Actor.OPERATOR, user_id=None, now=clock.now()
    )
    said = "paused" if is_paused else f"was paused already, by {author}"
    if is_paused and author is not None:
        said += f", over the pause of {author}"
    return f"{said}; {_count(waiting_changes(db.session()))} waiting"


def _resume(_company: Company) -> str:
    waiting = waiting_changes(db.session())
    is_resumed = resume_pushing(db.session(), actor=Actor.OPERATOR, user_id=None, now=clock.now())
    if not is_resumed:
        return "was not paused"
    goes = "goes" if waiting == 1 else "go"
    return f"resumed; {_count(waiting)} that waited {goes} on" if waiting else "resumed"


def _resume_own(company: Company) -> str:
    """An admin's pause is a company's own decision: all at once doesn't end it."""
    if company.admin_paused_by is not None:
        lift_operators_pause(db.session(), now=clock.now())
        db.session.refresh(company)
    if company.is_paused and company.paused_by != OPERATOR:
        return f"left paused, by {company.paused_by}; `resume {company.slug}` resumes it"
    return _resume(company)


def _count(changes: int) -> str:
    return "1 change" if changes == 1 else f"{changes} changes"
