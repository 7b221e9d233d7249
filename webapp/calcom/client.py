"""Cal.com's API v2, call by call, in our words."""

import re
from collections.abc import Callable, Iterable
from datetime import datetime
from types import TracebackType
from typing import Self, Unpack

import httpx
from pydantic import SecretStr

from webapp.calcom import protocol, reading, writing
from webapp.calcom.addresses import parse_base_url
from webapp.calcom.exchange import Call, CallRecord, Exchange
from webapp.calcom.payloads import (
    MAX_TAKE,
    Account,
    Booking,
    BookingPage,
    BookingQuery,
    EventType,
    EventTypeChanges,
    NewBooking,
    Slot,
    Webhook,
)
from webapp.calcom.transport import DeadlineTransport

__all__ = ["CalcomClient", "CallRecord"]

# Shorter than an intent's lease, longer than Cal.com takes with slow calendars behind it.
DEADLINE_SECONDS = 20.0
CONNECT_TIMEOUT_SECONDS = 5.0

_KEY = re.compile(r"[!-~]{1,500}")
_PATH_VALUE = re.compile(r"[A-Za-z0-9_-]{1,100}")


class CalcomClient:
    """Speaks with one Cal.com host under one key. Safe to share by threads; make it after a fork.

    Every method raises the errors drawn in `webapp.calcom.errors` and whatever `before_call`
    raises. A call ends within `deadline_seconds` in all, however slowly the answer drips.

    Args:
        base_url: the host, with or without `/v2`; AddressError (a ValueError) if we won't call.
        api_key: `cal_…`; ValueError if empty (Cal.com answers some calls without any key) or not
            printable ASCII.
        allow_private_networks: also http and private addresses, for a sandbox or a LAN.
        before_call: runs before each call; refuse there by raising.
        on_call: gets a CallRecord after each call, failed ones too; must not raise.
        transport: replaces the network, for tests; the deadline then holds between pieces only.
    """

    def __init__(
        self,
        base_url: str,
        api_key: str,
        *,
        deadline_seconds: float = DEADLINE_SECONDS,
        connect_timeout_seconds: float = CONNECT_TIMEOUT_SECONDS,
        allow_private_networks: bool = False,
        before_call: Callable[[], None] | None = None,
        on_call: Callable[[CallRecord], None] | None = None,
        transport: httpx.BaseTransport | None = None,
    ) -> None:
        self._base_url = parse_base_url(base_url, allow_private=allow_private_networks)
        self._exchange = Exchange(
            self._base_url,
            _checked_key(api_key),
            transport or DeadlineTransport(allow_private=allow_private_networks),
            deadline_seconds=deadline_seconds,
            connect_timeout_seconds=connect_timeout_seconds,
            before_call=before_call,
            on_call=on_call,
        )

    def __repr__(self) -> str:
        return f"CalcomClient({self._base_url!r})"

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Gives the connections back."""
        self._exchange.close()

    def me(self) -> Account:
        """Whose key it is: the only honest check of a key, for bookings answer without one too."""
        return self._exchange.perform(Call(protocol.ME), reading.read_account)

    def create_booking(self, booking: NewBooking) -> Booking:
        """Books, and mails the attendee. There is no idempotency key: look before repeating.

        Raises SlotUnavailable, Conflict (taken, perhaps by ourselves; seats full), NotFound.
        """
        call = Call(protocol.CREATE_BOOKING, body=writing.write_booking(booking))
        return self._exchange.perform(call, reading.read_booking)

    def get_booking(self, uid: str) -> Booking:
        """The booking under this uid, cancelled and rescheduled ones too; raises NotFound.

        Answers come from a replica: what was written seconds ago may be absent.
        """
        call = Call(protocol.GET_BOOKING, _path_value(uid))
        return self._exchange.perform(call, lambda data: reading.read_booking(data, wanted_uid=uid))

    def list_bookings(self, query: BookingQuery) -> BookingPage:
        """One page. Holds bookings too that the key's user merely attends: filter by event type."""
        call = Call(protocol.LIST_BOOKINGS, query=writing.write_query(query))
        return self._exchange.perform(call, lambda data: reading.read_page(data, take=query.take))

    def reschedule_booking(self, uid: str, start: datetime, reason: str | None = None) -> Booking:
        """Moves, and mails the attendee; the answer is a **new** booking with a new uid.

        Raises Conflict with `successor_uid` if it was moved before, AlreadyCancelled,
        SlotUnavailable.
        """
        body: dict[str, object] = {"start": writing.write_instant(start)}
        if reason:
            body["reschedulingReason"] = reason
        call = Call(protocol.RESCHEDULE_BOOKING, _path_value(uid), body=body)
        return self._exchange.perform(call, reading.read_booking)

    def cancel_booking(self, uid: str, reason: str) -> Booking:
        """Cancels, and mails the attendee; hosts get a 400 without a reason, so we require one.

        Raises AlreadyCancelled (success for us, once a GET shows no successor), AlreadyEnded,
        Conflict with `successor_uid`.
        """
        if not reason.strip():
            raise ValueError("a cancellation needs a reason")
        body = {"cancellationReason": reason}
        call = Call(protocol.CANCEL_BOOKING, _path_value(uid), body=body)
        return self._exchange.perform(call, lambda data: reading.read_booking(data, wanted_uid=uid))

    def confirm_booking(self, uid: str) -> Booking:
        """Accepts a pending booking."""
        call = Call(protocol.CONFIRM_BOOKING, _path_value(uid))
        return self._exchange.perform(call, reading.read_booking)

    def decline_booking(self, uid: str, reason: str | None = None) -> Booking:
        """Rejects a pending booking."""
        body = {"reason": reason} if reason else {}
        call = Call(protocol.DECLINE_BOOKING, _path_value(uid), body=body)
        return self._exchange.perform(call, reading.read_booking)

    def list_event_types(self) -> tuple[EventType, ...]:
        """All event types of the key's user."""
        return self._exchange.perform(Call(protocol.LIST_EVENT_TYPES), reading.read_event_types)

    def get_event_type(self, event_type_id: int) -> EventType:
        """One event type; raises NotFound."""
        call = Call(protocol.GET_EVENT_TYPE, _path_value(event_type_id))
        return self._exchange.perform(call, reading.read_event_type)

    def update_event_type(
        self, event_type_id: int, **changes: Unpack[EventTypeChanges]
    ) -> EventType:
        """Writes the named fields only; only the owner may. ValueError for price and the like."""
        body = writing.write_event_type(changes)
        call = Call(protocol.UPDATE_EVENT_TYPE, _path_value(event_type_id), body=body)
        return self._exchange.perform(call, reading.read_event_type)

    def list_slots(
        self,
        event_type_id: int,
        *,
        start: datetime,
        end: datetime,
        time_zone: str | None = None,
        rescheduling_uid: str | None = None,
    ) -> tuple[Slot, ...]:
        """Offered times between two instants, by time; with `rescheduling_uid` its own time too."""
        query = {
            "eventTypeId": str(event_type_id),
            "start": writing.write_instant(start),
            "end": writing.write_instant(end),
        }
        if time_zone:
            query["timeZone"] = time_zone
        if rescheduling_uid:
            query["bookingUidToReschedule"] = rescheduling_uid
        return self._exchange.perform(Call(protocol.LIST_SLOTS, query=query), reading.read_slots)

    def create_webhook(
        self, subscriber_url: str, triggers: Iterable[str], secret: str, *, active: bool = True
    ) -> Webhook:
        """Registers our door; raises Conflict if the URL is registered already."""
        body = {
            "active": active,
            "subscriberUrl": subscriber_url,
            "triggers": list(triggers),
            "secret": _checked_secret(secret),
        }
        call = Call(protocol.CREATE_WEBHOOK, body=body)
        return self._exchange.perform(call, reading.read_webhook)

    def list_webhooks(self) -> tuple[Webhook, ...]:
        """The first 250 webhooks of the key's user, their secrets left behind."""
        call = Call(protocol.LIST_WEBHOOKS, query={"take": str(MAX_TAKE)})
        return self._exchange.perform(call, reading.read_webhooks)

    def renew_webhook(self, webhook_id: str, triggers: Iterable[str], secret: str) -> Webhook:
        """Makes a registered webhook ours again: switched on, our triggers, our secret."""
        body = {"active": True, "triggers": list(triggers), "secret": _checked_secret(secret)}
        call = Call(protocol.UPDATE_WEBHOOK, _path_value(webhook_id), body=body)
        return self._exchange.perform(call, reading.read_webhook)

    def update_webhook_secret(self, webhook_id: str, secret: str) -> Webhook:
        """Sets a new secret on a registered webhook: the other half of a rotation."""
        body = {"secret": _checked_secret(secret)}
        call = Call(protocol.UPDATE_WEBHOOK, _path_value(webhook_id), body=body)
        return self._exchange.perform(call, reading.read_webhook)


def _checked_key(api_key: str) -> SecretStr:
    key = api_key.strip()
    if not _KEY.fullmatch(key):
        raise ValueError("the API key is empty or holds characters that no key has")
    return SecretStr(key)


def _checked_secret(secret: str) -> str:
    if not secret:
        raise ValueError("a webhook without a secret can't be trusted")
    return secret


def _path_value(value: str | int) -> str:
    """A uid or id that can't lead out of its place in the path; the text names no uid."""
    if not _PATH_VALUE.fullmatch(str(value)):
        raise ValueError("this is no uid or id of Cal.com")
    return str(value)
