"""What the control door tells about the inside: bookings, mails, calls and deliveries."""

from collections import Counter
from collections.abc import Mapping

from webapp.sandbox.core import Sandbox
from webapp.sandbox.instants import with_milliseconds
from webapp.sandbox.records import Account, Json, Mail
from webapp.sandbox.refusals import Refusal
from webapp.sandbox.shapes import account_body, booking_body, webhook_body

PARTS = ("bookings", "mails", "calls", "deliveries", "accounts", "webhooks", "totals")


def state_report(sandbox: Sandbox, query: Mapping[str, str]) -> Json:
    """`only=calls,mails` picks parts; `account=` narrows; `operation=`, `uid=` and `kind=` too;
    `bookings=count`, `mails=count` and `calls=count` give numbers, and nothing else, cheaply."""
    account = _account(sandbox, query.get("account"))
    only = _parts(query)
    report: Json = {"now": with_milliseconds(sandbox.clock.now())}
    if "bookings" in only:
        report["bookings"] = _bookings(sandbox, query, account)
    if "mails" in only:
        report["mails"] = _mails(sandbox, query, account)
    if "calls" in only:
        report["calls"] = _calls(sandbox, query, account)
    if "deliveries" in only:
        report["deliveries"] = _deliveries(sandbox, query, account)
    if "totals" in only:
        report["totals"] = sandbox.ledger.totals(account.email if account else None)
    return report | _owners(sandbox, only, account)


def _parts(query: Mapping[str, str]) -> set[str]:
    """What is asked for: the named parts, else those that are to be counted, else everything."""
    only = set(filter(None, query.get("only", "").split(",")))
    if only - set(PARTS):
        raise Refusal(400, f"only knows: {', '.join(PARTS)}")
    counted = {part for part in PARTS if query.get(part) == "count"}
    return only or counted or set(PARTS)


def _account(sandbox: Sandbox, reference: str | None) -> Account | None:
    if not reference:
        return None
    account = sandbox.state.account(reference)
    if account is None:
        raise Refusal(404, f"no such account: {reference}")
    return account


def _bookings(sandbox: Sandbox, query: Mapping[str, str], account: Account | None) -> object:
    found = [
        booking
        for booking in list(sandbox.state.bookings.values())
        if (account is None or booking.owner_id == account.id)
        and query.get("uid", booking.uid) == booking.uid
    ]
    if query.get("bookings") == "count":
        return dict(Counter(booking.status for booking in found))
    return [booking_body(booking) for booking in found]


def _mails(sandbox: Sandbox, query: Mapping[str, str], account: Account | None) -> object:
    found = [
        mail
        for mail in list(sandbox.state.mails)
        if (account is None or mail.account == account.email)
        and query.get("uid", mail.uid) == mail.uid
        and query.get("kind", mail.kind) == mail.kind
    ]
    if query.get("mails") == "count":
        return dict(Counter(mail.kind for mail in found))
    return [mail_body(mail) for mail in found]


def mail_body(mail: Mail) -> Json:
    return {**vars(mail), "at": with_milliseconds(mail.at)}


def _calls(sandbox: Sandbox, query: Mapping[str, str], account: Account | None) -> object:
    """The count comes from totals that are never cut; the rows are the last ones."""
    if query.get("calls") == "count":
        totals = sandbox.ledger.totals(account.email if account else None)
        wanted = query.get("operation")
        return sum(number for name, number in totals.items() if wanted in (None, name))
    return [
        call.as_json()
        for call in sandbox.ledger.recent_calls()
        if (account is None or call.account == account.email)
        and query.get("operation", call.operation) == call.operation
    ]


def _deliveries(sandbox: Sandbox, query: Mapping[str, str], account: Account | None) -> list[Json]:
    return [
        delivery.as_json()
        for delivery in sandbox.ledger.recent_deliveries()
        if (account is None or delivery.account == account.email)
        and query.get("uid", delivery.uid) == delivery.uid
    ]


def _owners(sandbox: Sandbox, only: set[str], account: Account | None) -> Json:
    report: Json = {}
    if "accounts" in only:
        report["accounts"] = [
            account_body(each) | {"key": each.key}
            for each in list(sandbox.state.accounts.values())
            if account is None or each.id == account.id
        ]
    if "webhooks" in only:
        report["webhooks"] = [
            webhook_body(each)
            for each in list(sandbox.state.webhooks.values())
            if account is None or each.account_id == account.id
        ]
    return report
