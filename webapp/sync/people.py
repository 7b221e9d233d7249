"""People: invited and let in by link, their roles, their end and their passwords (S12).

A link is a secret for one use: kept as a hash, over after a while, ended by whoever uses it. A
company always has an admin who can log in.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import func, select, update
from sqlalchemy.orm import Session

from webapp.models.access_link import LIVES, AccessLink, LinkKind, hash_link, new_link_text
from webapp.models.audit import Actor, record_audit
from webapp.models.base import fold
from webapp.models.crossing import find_login
from webapp.models.notification import NotificationType
from webapp.models.tenancy import require_company_id
from webapp.models.user import Role, User
from webapp.notify.inbox import close_told
from webapp.notify.trouble import subjects_of
from webapp.sync.customers import InvalidEmail, clean_email
from webapp.sync.onboarding import InvalidValue

MAIL_LEASE = timedelta(seconds=330)
"""After this a link's mail whose worker died is due again."""

MOST_MAIL_TRIES = 5

FRESH = timedelta(minutes=10)
"""So long nobody is sent another link for a new password who asks for one: whoever types somebody's
e-mail could else end the link that this person has just been sent, again and again."""


class LastAdmin(InvalidValue):
    """Nobody would be left who may change the settings."""

    def __init__(self) -> None:
        super().__init__("a company needs an admin who can log in")


class AddressTaken(InvalidValue):
    """Somebody logs in with this e-mail already, here or elsewhere."""

    def __init__(self) -> None:
        super().__init__("somebody logs in with this e-mail already")


@dataclass(frozen=True, slots=True)
class IssuedLink:
    """`text` is to be shown once; None: its mail is on the way, and nobody here has it."""

    id: int
    text: str | None


def invite(
    session: Session,
    *,
    email: str,
    role: Role,
    by_mail: bool,
    user_id: int,
    now: datetime,
) -> IssuedLink:
    """Invite a person; an earlier invitation to the same address ends.

    Raises InvalidEmail, and AddressTaken where somebody logs in with it.
    """
    address = clean_email(email)
    if address is None:
        raise InvalidEmail
    link = AccessLink(kind=LinkKind.INVITATION, email=address, role=role)
    _needs_free_address(session, link)
    return _issue(session, link, by_mail=by_mail, user_id=user_id, now=now)


def offer_new_password(
    session: Session, user: User, *, by_mail: bool, user_id: int | None, now: datetime
) -> IssuedLink:
    """A link with which a person sets a new password; `user_id`: the admin, None: themselves."""
    link = AccessLink(kind=LinkKind.PASSWORD, user_id=user.id, email=user.email)
    return _issue(session, link, by_mail=by_mail, user_id=user_id, now=now)


def request_new_password(session: Session, user: User, *, now: datetime) -> IssuedLink | None:
    """By mail, for whoever says they forgot theirs; None where a link is FRESH and on its way or
    there."""
    if session.scalar(
        select(AccessLink.id).where(
            AccessLink.company_id == require_company_id(),
            AccessLink.kind == LinkKind.PASSWORD,
            AccessLink.user_id == user.id,
            AccessLink.ended_at.is_(None),
            AccessLink.created_at > now - FRESH,
            AccessLink.mail_error.is_(None) | AccessLink.mail_due_at.is_not(None),
        )
    ):
        return None
    return offer_new_password(session, user, by_mail=True, user_id=None, now=now)


def renew_link(
    session: Session, link: AccessLink, *, by_mail: bool, user_id: int, now: datetime
) -> IssuedLink | None:
    """The same invitation once more, with another secret and a fresh life; None where it was used
    or withdrawn meanwhile: that was somebody's word. Raises AddressTaken as `invite` does."""
    _needs_free_address(session, link)
    _lock_address(session, link)
    if not _end(session, AccessLink.id == link.id, now=now):
        return None
    fresh = AccessLink(kind=link.kind, email=link.email, role=link.role, user_id=link.user_id)
    return _issue(session, fresh, by_mail=by_mail, user_id=user_id, now=now)


def withdraw_link(session: Session, link_id: int, *, user_id: int, now: datetime) -> bool:
    """End an invitation; False where it was over already."""
    if not _end(session, AccessLink.id == link_id, now=now):
        return False
    _audit(session, "invitation.withdrawn", f"access_link:{link_id}", user_id, now)
    return True


def find_link(session: Session, token_hash: bytes, *, now: datetime) -> AccessLink | None:
    """The current company's link of this hash, if it still lets somebody in."""
    link = session.scalar(
        select(AccessLink).where(
            AccessLink.company_id == require_company_id(), AccessLink.token_hash == token_hash
        )
    )
    return link if link is not None and link.is_open(now) else None


def accept_invitation(
    session: Session, link: AccessLink, *, name: str, password: str, locale: str, now: datetime
) -> User | None:
    """Make the invited person; None where somebody else was quicker with the link.

    Raises AddressTaken where the address logs in somewhere by now.
    """
    if not _end(session, AccessLink.id == link.id, now=now):
        return None
    _needs_free_address(session, link)
    user = User(
        email=link.email,
        email_folded=link.email_folded,
        name=name,
        role=link.role,
        locale=locale,
        created_at=now,
        session_version=0,
    )
    user.set_password(password)
    session.add(user)
    session.flush()
    _audit(session, "user.joined", f"user:{user.id}", user.id, now, role=user.role.value)
    return user


def set_password_by_link(
    session: Session, link: AccessLink, *, password: str, now: datetime
) -> User | None:
    """Set the password and end all sessions; None where the link is used, or the person barred."""
    user = session.get_one(User, (require_company_id(), link.user_id))
    if not user.is_enabled or not _end(session, AccessLink.id == link.id, now=now):
        return None
    user.set_password(password)
    _audit(session, "password_reset", f"user:{user.id}", user.id, now)
    return user


def change_role(session: Session, user: User, role: Role, *, user_id: int, now: datetime) -> bool:
    """Give a person another role; False where they have it. Raises LastAdmin."""
    if user.role is role:
        return False
    if user.role is Role.ADMIN:
        _needs_another_admin(session, user)
    _audit(
        session,
        "user.role_changed",
        f"user:{user.id}",
        user_id,
        now,
        before=user.role.value,
        after=role.value,
    )
    user.role = role
    if role is Role.STAFF:
        _end_mail_trouble(session, user, now)
    session.flush()
    return True


def bar(session: Session, user: User, *, user_id: int, now: datetime) -> bool:
    """Let a person in no more: their sessions and open links end. Raises LastAdmin."""
    if not user.is_enabled:
        return False
    if user.role is Role.ADMIN:
        _needs_another_admin(session, user)
    user.is_enabled = False
    user.session_version += 1
    _end(session, AccessLink.user_id == user.id, now=now)
    _end_mail_trouble(session, user, now)
    _audit(session, "user.deactivated", f"user:{user.id}", user_id, now)
    session.flush()
    return True


def let_in_again(session: Session, user: User, *, user_id: int, now: datetime) -> bool:
    if user.is_enabled:
        return False
    user.is_enabled = True
    _audit(session, "user.reactivated", f"user:{user.id}", user_id, now)
    session.flush()
    return True


def company_people(session: Session) -> list[User]:
    """Who may log in first, then by name."""
    return list(
        session.scalars(
            select(User)
            .where(User.company_id == require_company_id())
            .order_by(User.is_enabled.desc(), func.lower(User.name), User.id)
        )
    )


def open_invitations(session: Session) -> list[AccessLink]:
    """The invitations that nobody has used or withdrawn, expired ones too: newest first."""
    return list(
        session.scalars(
            select(AccessLink)
            .where(
                AccessLink.company_id == require_company_id(),
                AccessLink.kind == LinkKind.INVITATION,
                AccessLink.ended_at.is_(None),
            )
            .order_by(AccessLink.id.desc())
        )
    )


def take_mail(session: Session, link_id: int, *, now: datetime) -> tuple[AccessLink, str] | None:
    """The link whose mail is due, with the secret that it carries from now on; None where it isn't.

    Each try carries a secret of its own: what is stored leads back to none.
    """
    text = new_link_text()
    link = session.scalar(
        update(AccessLink)
        .where(
            AccessLink.company_id == require_company_id(),
            AccessLink.id == link_id,
            AccessLink.mail_due_at <= now,
            AccessLink.ended_at.is_(None),
        )
        .values(
            mail_due_at=now + MAIL_LEASE,
            mail_attempt_count=AccessLink.mail_attempt_count + 1,
            token_hash=hash_link(text),
        )
        .returning(AccessLink)
        .execution_options(populate_existing=True)
    )
    return None if link is None else (link, text)


def end_mail(
    session: Session, link_id: int, *, now: datetime, error: str | None, again_at: datetime | None
) -> None:
    """Write down how it went; `again_at`: when it is tried again."""
    link = session.get_one(AccessLink, (require_company_id(), link_id), populate_existing=True)
    link.mail_due_at = again_at
    link.mail_error = error
    if error is None:
        link.mailed_at = now


def _issue(
    session: Session, link: AccessLink, *, by_mail: bool, user_id: int | None, now: datetime
) -> IssuedLink:
    """Write the link down; those before it for the same person end."""
    link.email_folded = fold(link.email)
    _lock_address(session, link)
    _end(
        session,
        AccessLink.kind == link.kind,
        AccessLink.email_folded == link.email_folded,
        now=now,
    )
    text = None if by_mail else new_link_text()
    link.token_hash = None if text is None else hash_link(text)
    link.mail_due_at = now if by_mail else None
    link.created_at, link.expires_at = now, now + LIVES[link.kind]
    link.created_by_user_id = user_id
    session.add(link)
    session.flush()
    about = "invitation" if link.kind is LinkKind.INVITATION else "password_link"
    subject = f"user:{link.user_id}" if link.user_id else f"access_link:{link.id}"
    _audit(session, f"{about}.created", subject, user_id or link.user_id, now, by_mail=by_mail)
    return IssuedLink(link.id, text)


def _needs_free_address(session: Session, link: AccessLink) -> None:
    if find_login(session, link.email) is not None:
        raise AddressTaken


def _lock_address(session: Session, link: AccessLink) -> None:
    """Two links for one address at once: the second waits and ends the first."""
    key = f"link:{require_company_id()}:{link.kind.value}:{link.email_folded}"
    session.execute(select(func.pg_advisory_xact_lock(func.hashtextextended(key, 0))))


def _end(session: Session, *conditions: object, now: datetime) -> bool:
    ended = session.scalars(
        update(AccessLink)
        .where(
            AccessLink.company_id == require_company_id(),
            AccessLink.ended_at.is_(None),
            *conditions,  # type: ignore[arg-type]
        )
        .values(ended_at=now, mail_due_at=None)
        .returning(AccessLink.id)
    ).all()
    return bool(ended)


def _end_mail_trouble(session: Session, user: User, now: datetime) -> None:
    """Who is mailed no more has no mailbox in trouble."""
    own_mailbox = subjects_of(user.id, None)[0]
    close_told(session, [NotificationType.CHANNEL_FAILED], own_mailbox, now=now)


def _needs_another_admin(session: Session, user: User) -> None:
    """Raises LastAdmin; the admins are locked, so that two can't take each other's role at once."""
    admins = session.scalars(
        select(User.id)
        .where(
            User.company_id == require_company_id(),
            User.role == Role.ADMIN,
            User.is_enabled,
        )
        .order_by(User.id)
        .with_for_update()
    ).all()
    if not set(admins) - {user.id}:
        raise LastAdmin


def _audit(
    session: Session, action: str, subject: str, user_id: int | None, now: datetime, **data: object
) -> None:
    record_audit(session, action, subject, at=now, actor=Actor.USER, user_id=user_id, **data)
