"""A company's own: its secrets, Cal.com with its webhook, whom it can tell, its audit log."""

from collections.abc import Iterator

from redis.exceptions import RedisError
from sqlalchemy import func, select

from webapp import clock
from webapp.application import settings, vault
from webapp.calcom.breaker import Circuit, breaker_state
from webapp.calcom.client import CalcomClient
from webapp.calcom.errors import CalcomError, Postponed, Unauthorised
from webapp.calcom.payloads import Webhook
from webapp.calcom.webhooks import Trigger
from webapp.extensions import db
from webapp.jobs.connection import open_client
from webapp.jobs.doctor.findings import Finding, fail, ok, warn
from webapp.jobs.queues import connect_for_web
from webapp.models.audit_chain import verify_chain
from webapp.models.chat_channel import ChatChannel
from webapp.models.company import Company, ConnectionState, Secret
from webapp.models.incident import open_incidents
from webapp.models.notification import Notification, NotificationType
from webapp.models.tenancy import require_company_id
from webapp.models.user import Role, User
from webapp.models.vault import VaultError

NEEDED = frozenset(
    {
        Trigger.CREATED,
        Trigger.RESCHEDULED,
        Trigger.REQUESTED,
        Trigger.CANCELLED,
        Trigger.REJECTED,
        Trigger.NO_SHOW_UPDATED,
        Trigger.MEETING_ENDED,
    }
)
"""What a webhook has to be registered for; the rest has no effect on appointments."""


def company_findings() -> Iterator[Finding]:
    """Of the company acted for. Ends its transactions; calls Cal.com twice."""
    slug = db.session.get_one(Company, require_company_id()).slug
    secrets = _secrets(slug)
    yield secrets
    yield from _standing(slug)
    yield _recipients(slug)
    yield _channels(slug)
    yield _audit(slug)
    yield _breaker(slug)
    db.session.rollback()
    yield from _calcom(slug)


def _secrets(slug: str) -> Finding:
    company = db.session.get_one(Company, require_company_id())
    try:
        for which in Secret:
            company.secret(which, vault())
        sealed = [getattr(company, which.value) for which in Secret]
        for channel in _all_channels():
            channel.open_address(vault())
            sealed.append(channel.address)
    except VaultError as error:
        return fail(
            "secrets",
            f"can't be opened: {error}",
            "put the key they were sealed with back into ENCRYPTION_KEYS, or enter them anew",
            company=slug,
        )
    old = sum(1 for each in sealed if each and not vault().is_current(each))
    if old:
        return warn(
            "secrets",
            f"{old} sealed with an older key",
            "`secrets reseal`; then the old key can go",
            company=slug,
        )
    return ok("secrets", "all open", company=slug)


def _all_channels() -> list[ChatChannel]:
    query = select(ChatChannel).where(ChatChannel.company_id == require_company_id())
    return list(db.session.scalars(query))


def _standing(slug: str) -> Iterator[Finding]:
    """What the company itself says of its state."""
    company = db.session.get_one(Company, require_company_id())
    if company.is_paused:
        yield warn(
            "pause",
            f"paused by {company.paused_by} since {company.paused_at:%Y-%m-%d %H:%M}Z",
            f"`resume {slug}` when it may go on",
            company=slug,
        )
    if company.webhook_silent_since is not None:
        # No failure: what changes there is read every few minutes, and so arrives, only later.
        yield warn(
            "webhook-silence",
            f"changes go unannounced since {company.webhook_silent_since:%Y-%m-%d %H:%M}Z",
            f"compare address and secret with Cal.com: `company webhook {slug}`",
            company=slug,
        )
    for incident in open_incidents(db.session()):
        yield warn(
            "incident",
            f"{incident.type.value} since {incident.opened_at:%Y-%m-%d %H:%M}Z",
            "an admin settles it on the overview",
            company=slug,
        )


def _recipients(slug: str) -> Finding:
    query = select(func.count()).where(
        User.company_id == require_company_id(),
        User.is_enabled,
        User.role.in_([Role.ADMIN, Role.MANAGER]),
    )
    number = db.session.scalar(query) or 0
    if number == 0:
        return fail(
            "recipients",
            "nobody is told: no admin and no manager",
            f"`user create {slug} …`",
            company=slug,
        )
    return ok("recipients", f"{number} admins and managers", company=slug)


def _channels(slug: str) -> Finding:
    query = select(func.count(func.distinct(Notification.subject))).where(
        Notification.company_id == require_company_id(),
        Notification.type == NotificationType.CHANNEL_FAILED,
        Notification.closed_at.is_(None),
    )
    number = db.session.scalar(query) or 0
    if number:
        return fail(
            "channels",
            f"{number} of its mail addresses or chat channels can't be reached",
            f"`message test {slug} …` says why",
            company=slug,
        )
    return ok("channels", "no trouble known", company=slug)


def _audit(slug: str) -> Finding:
    chain = verify_chain(db.session())
    if chain.broken is not None:
        return fail(
            "audit",
            f"entry {chain.broken.entry_id or '?'} was {chain.broken.kind.value}",
            f"`audit verify {slug}`; compare with a backup, and find out who had the owner's role",
            company=slug,
        )
    return ok("audit", f"{chain.sealed} entries are what was sealed", company=slug)


def _breaker(slug: str) -> Finding:
    try:
        connection = connect_for_web(settings().redis_url)
        state = breaker_state(connection, require_company_id(), clock.now())
    except RedisError:
        return warn("breaker", "unknown: Redis is away", "see redis above", company=slug)
    if state.circuit is not Circuit.CLOSED:
        return warn(
            "breaker",
            f"{state.circuit.value} after {state.failures} failures in a row",
            f"it closes by itself when Cal.com answers; `breaker reset {slug}` tries at once",
            company=slug,
        )
    return ok("breaker", "closed", company=slug)


def _calcom(slug: str) -> Iterator[Finding]:
    """Asks Cal.com whose key it is, then for the registered webhooks."""
    company = db.session.get_one(Company, require_company_id())
    has_key, state, url = company.calcom_api_key is not None, company.connection_state, _address()
    db.session.rollback()
    if not has_key:
        yield warn("calcom", "has no key yet", f"`company connect {slug} …`", company=slug)
        return
    try:
        with open_client() as client:
            account = client.me()
            webhook = _webhook(slug, url, client)
    except CalcomError as error:
        yield _refused(slug, error)
        return
    if state is ConnectionState.BROKEN:
        yield warn(
            "calcom",
            "answers again, and isn't known to",
            "it is asked anew by itself",
            company=slug,
        )
    else:
        yield ok("calcom", f"answers as {account.name or account.username}", company=slug)
    yield webhook


def _refused(slug: str, error: CalcomError) -> Finding:
    if isinstance(error, Postponed):
        return warn(
            "calcom", f"isn't asked now: {error.code}", "see breaker; ask again later", company=slug
        )
    if isinstance(error, Unauthorised):
        return fail(
            "calcom", "refuses the key", f"`company connect {slug} …` with a new one", company=slug
        )
    return fail(
        "calcom",
        f"can't be asked: {error.code}",
        "look at the company's address, at status.cal.com and at the way out",
        company=slug,
    )


def _webhook(slug: str, url: str, client: CalcomClient) -> Finding:
    try:
        registered = [each for each in client.list_webhooks() if each.subscriber_url == url]
    except Unauthorised:
        raise
    except CalcomError as error:
        return warn("webhook", f"can't be read: {error.code}", "look it up there", company=slug)
    return _judge_webhook(slug, registered)


def _judge_webhook(slug: str, registered: list[Webhook]) -> Finding:
    advice = f"register the address that `company webhook {slug}` prints"
    if not registered:
        return fail("webhook", "isn't registered on Cal.com", advice, company=slug)
    active = [each for each in registered if each.active]
    if not active:
        return fail("webhook", "is switched off on Cal.com", "switch it on there", company=slug)
    told = {trigger for each in active for trigger in each.triggers}
    missing = sorted(each.value for each in NEEDED if each.value not in told)
    if missing:
        return fail(
            "webhook",
            f"isn't registered for {', '.join(missing)}",
            "tick them on Cal.com",
            company=slug,
        )
    return ok("webhook", "registered", company=slug)


def _address() -> str:
    company = db.session.get_one(Company, require_company_id())
    return f"{settings().public_url}/webhooks/calcom/{company.webhook_token}"
