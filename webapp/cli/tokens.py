"""API tokens for other systems: make, list, revoke."""

from datetime import timedelta

import click
from flask.cli import AppGroup

from webapp import clock
from webapp.cli.asking import acting_for
from webapp.extensions import db
from webapp.models.api_token import ApiToken, Scope, company_tokens
from webapp.models.audit import Actor
from webapp.sync.tokens import issue_token, revoke_token

token = AppGroup("token", help="Make, list and revoke API tokens.")

LARGEST_ID = 2**63 - 1


@token.command("create")
@click.argument("slug")
@click.option(
    "--scope",
    "scopes",
    type=click.Choice([scope.value for scope in Scope]),
    multiple=True,
    required=True,
    help="what it may do; may be given several times",
)
@click.option("--name", default="command line", show_default=True, help="what it is for")
@click.option("--days", type=click.IntRange(1, 3650), help="default: it does not expire")
def create_token_command(slug: str, scopes: tuple[str, ...], name: str, days: int | None) -> None:
    """Make a token for company SLUG and print it: it can't be shown again."""
    now = clock.now()
    with acting_for(slug):
        issued = issue_token(
            db.session(),
            name=name.strip() or "command line",
            scopes={Scope(scope) for scope in scopes},
            expires_at=None if days is None else now + timedelta(days=days),
            actor=Actor.OPERATOR,
            user_id=None,
            now=now,
        )
        db.session.commit()
        click.echo(issued.text)


@token.command("list")
@click.argument("slug")
def list_tokens_command(slug: str) -> None:
    """Say which tokens company SLUG has, each by its id and last four characters."""
    with acting_for(slug):
        for row in company_tokens(db.session()):
            click.echo(_describe(row))


@token.command("revoke")
@click.argument("slug")
@click.argument("token_id", type=click.IntRange(1, LARGEST_ID))
def revoke_token_command(slug: str, token_id: int) -> None:
    """End a token of company SLUG at once; its id is in `token list`."""
    with acting_for(slug):
        is_revoked = revoke_token(
            db.session(), token_id, actor=Actor.OPERATOR, user_id=None, now=clock.now()
        )
        db.session.commit()
    if not is_revoked:
        raise click.ClickException(f"{slug} has no token {token_id} in force; see `token list`")
    click.echo(f"{slug}: token {token_id} revoked")


def _describe(row: ApiToken) -> str:
    if row.is_revoked:
        state = "revoked"
    elif row.has_expired(clock.now()):
        state = "expired"
    else:
        state = f"used {row.last_used_at:%Y-%m-%d %H:%M}" if row.last_used_at else "never used"
    return f"{row.id}  {row.masked}  {' '.join(row.scopes)}  {row.name}  ({state})"
