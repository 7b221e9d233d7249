"""A message that says nothing but that it arrives: does mail, does chat work?"""

import click
from flask.cli import AppGroup
from sqlalchemy import select

from webapp import clock
from webapp.cli.asking import acting_for
from webapp.extensions import db
from webapp.jobs import sendings
from webapp.models.base import fold
from webapp.models.chat_channel import ChatChannel
from webapp.models.sending import Pace, Sending, SendingStatus
from webapp.models.tenancy import as_company, require_company_id
from webapp.models.user import User
from webapp.notify.envelopes import put_out_test

message = AppGroup("message", help="Test messages by mail and chat.")


@message.command("test")
@click.argument("slug")
@click.option("--mail", "email", help="to this person of the company")
@click.option("--chat", "channel", help="to the chat channel of this name")
def test_message_command(slug: str, email: str | None, channel: str | None) -> None:
    """Send a test message to one person or one chat channel now; exits 1 unless it was sent."""
    if (email is None) is (channel is None):
        raise click.UsageError("say to whom: --mail somebody@…, or --chat a channel's name")
    with acting_for(slug):
        company_id = require_company_id()
        user_id = _person(email) if email else None
        channel_id = _channel(channel) if channel else None
        put_out_test(db.session(), user_id=user_id, channel_id=channel_id, now=clock.now())
        db.session.commit()
        sending_id = _latest(user_id, channel_id)
    sendings.send(company_id, sending_id)
    with as_company(company_id):
        row = db.session.get_one(Sending, (company_id, sending_id))
        why = f": {row.error_code} {row.error_message or ''}".rstrip() if row.error_code else ""
        click.echo(f"{row.status.value}{why}")
        is_sent = row.status is SendingStatus.SENT
    raise SystemExit(0 if is_sent else 1)


def _person(email: str) -> int:
    found = db.session.scalar(
        select(User.id).where(
            User.company_id == require_company_id(), User.email_folded == fold(email)
        )
    )
    if found is None:
        raise click.ClickException(f"the company has nobody with the e-mail {email}")
    return found


def _channel(name: str) -> int:
    found = db.session.scalar(
        select(ChatChannel.id)
        .where(ChatChannel.company_id == require_company_id(), ChatChannel.name == name)
        .order_by(ChatChannel.id)
        .limit(1)
    )
    if found is None:
        raise click.ClickException(f"the company has no chat channel '{name}'")
    return found


def _latest(user_id: int | None, channel_id: int | None) -> int:
    query = select(Sending.id).where(
        Sending.company_id == require_company_id(),
        Sending.pace == Pace.TEST,
        Sending.user_id == user_id if user_id else Sending.channel_id == channel_id,
    )
    return int(db.session.scalars(query.order_by(Sending.id.desc()).limit(1)).one())
