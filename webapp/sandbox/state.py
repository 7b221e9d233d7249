"""The sandbox's state: all rows in memory with their indexes, written through to the store."""

import itertools
import secrets
import threading
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta

from webapp.sandbox.instants import Clock
from webapp.sandbox.records import (
    Account,
    Booking,
    EventType,
    Json,
    Mail,
    Webhook,
    from_document,
    to_document,
)
from webapp.sandbox.refusals import whole_number
from webapp.sandbox.shelves import Shelf
from webapp.sandbox.store import Store

UID_ALPHABET = "123456789abcdefghijkmnopqrstuvwxyzABCDEFGHJKLMNPQRSTUVWXYZ"
UID_LENGTH = 22
RECENT_WRITES = 20_000


class State:
    """Rows and indexes. Writers hold `writing()`; readers of single rows need no lock."""

    def __init__(self, clock: Clock, store: Store) -> None:
        self.clock = clock
        self.lock = threading.RLock()
        self._store = store
        self._empty()
        self._load()

    def _empty(self) -> None:
        self.accounts: dict[int, Account] = {}
        self.account_ids: dict[str, int] = {}
        self.event_types: dict[int, EventType] = {}
        self.bookings: dict[str, Booking] = {}
        self.series: dict[str, list[str]] = {}
        self.webhooks: dict[str, Webhook] = {}
        self.mails: list[Mail] = []
        self.shelves: dict[int, Shelf] = {}
        # What each recent write replaced: a replica that lags shows these.
        self._replaced: deque[tuple[datetime, str, Booking | None]] = deque(maxlen=RECENT_WRITES)
        self._next_id = itertools.count(1001)

    def _load(self) -> None:
        for document in self._store.load("account"):
            self._keep_account(from_document(Account, document))
        for document in self._store.load("event_type"):
            event_type = from_document(EventType, document)
            self.event_types[event_type.id] = event_type
        bookings = [from_document(Booking, each) for each in self._store.load("booking")]
        for booking in sorted(bookings, key=lambda each: each.id):
            self._keep_booking(booking)
        for document in self._store.load("webhook"):
            webhook = from_document(Webhook, document)
            self.webhooks[webhook.id] = webhook
        mails = [from_document(Mail, document) for document in self._store.load("mail")]
        self.mails = sorted(mails, key=lambda mail: mail.at)
        self._load_clock()
        ids = [*self.accounts, *self.event_types, *(each.id for each in bookings)]
        ids += [int(each) for each in self.webhooks if each.isdigit()]
        self._next_id = itertools.count(max([1000, *ids]) + 1)

    def _load_clock(self) -> None:
        for document in self._store.load("clock"):
            self.clock.advance(document["shift_seconds"])
            if document["frozen_at"]:
                self.clock.freeze()
                self.clock.set(datetime.fromisoformat(document["frozen_at"]))

    @contextmanager
    def writing(self) -> Iterator[None]:
        """Alone, and in one transaction of the store."""
        with self.lock, self._store.transaction():
            yield

    def next_id(self) -> int:
        return next(self._next_id)

    @staticmethod
    def new_uid() -> str:
        return "".join(secrets.choice(UID_ALPHABET) for _ in range(UID_LENGTH))

    def account(self, reference: object) -> Account | None:
        """An account by id, e-mail, username or key."""
        if isinstance(reference, str) and whole_number(reference) is None:
            return self.accounts.get(self.account_ids.get(reference.lower(), 0))
        return self.accounts.get(int(reference)) if isinstance(reference, int | str) else None

    def account_of_key(self, key: str) -> Account | None:
        account = self.account(key)
        return account if account is not None and account.key == key else None

    def shelf(self, account_id: int) -> Shelf:
        return self.shelves.setdefault(account_id, Shelf())

    def save_account(self, account: Account) -> None:
        with self.writing():
            before = self.accounts.get(account.id)
            self._keep_account(account)
            self._store.put("account", str(account.id), to_document(account))
            if before is None or before.email != account.email:
                self._fill_shelf(account)

    def _keep_account(self, account: Account) -> None:
        names = {account.email.lower(), account.username.lower(), account.key.lower()}
        self.account_ids = {
            name: owner for name, owner in self.account_ids.items() if owner != account.id
        } | dict.fromkeys(names, account.id)
        self.accounts[account.id] = account

    def _fill_shelf(self, account: Account) -> None:
        shelf = self.shelves[account.id] = Shelf()
        email = account.email.lower()
        for booking in self.bookings.values():
            if booking.owner_id == account.id or email in booking.emails:
                shelf.add(booking)

    def save_event_type(self, event_type: EventType) -> None:
        with self.writing():
            self.event_types[event_type.id] = event_type
            self._store.put("event_type", str(event_type.id), to_document(event_type))

    def save_webhook(self, webhook: Webhook) -> None:
        with self.writing():
            self.webhooks[webhook.id] = webhook
            self._store.put("webhook", webhook.id, to_document(webhook))

    def remove_webhook(self, webhook_id: str) -> None:
        with self.writing():
            self.webhooks.pop(webhook_id, None)
            self._store.remove("webhook", webhook_id)

    def save_booking(self, booking: Booking) -> None:
        with self.writing():
            before = self.bookings.get(booking.uid)
            self._replaced.append((self.clock.now(), booking.uid, before))
            if before is not None:
                self._take_off(before)
            self._keep_booking(booking)
            self._store.put("booking", booking.uid, to_document(booking))

    def remove_booking(self, uid: str) -> Booking | None:
        """Gone without a trace; Cal.com itself never does this to a booking."""
        with self.writing():
            before = self.bookings.pop(uid, None)
            if before is not None:
                self._replaced.append((self.clock.now(), uid, before))
                self._take_off(before)
                self._store.remove("booking", uid)
            return before

    def _keep_booking(self, booking: Booking) -> None:
        self.bookings[booking.uid] = booking
        if booking.recurring_uid is not None:
            uids = self.series.setdefault(booking.recurring_uid, [])
            if booking.uid not in uids:
                uids.append(booking.uid)
        for account_id in self._readers(booking):
            self.shelf(account_id).add(booking)

    def _take_off(self, booking: Booking) -> None:
        for account_id in self._readers(booking):
            self.shelf(account_id).discard(booking)

    def _readers(self, booking: Booking) -> set[int]:
        attending = {self.account_ids.get(email) for email in booking.emails}
        return {booking.owner_id} | {each for each in attending if each is not None}

    def save_mail(self, mail: Mail) -> None:
        with self.writing():
            self.mails.append(mail)
            self._store.put("mail", f"{len(self.mails):09}", to_document(mail))

    def save_clock(self) -> None:
        frozen_at = self.clock.now().isoformat() if self.clock.is_frozen else None
        document = {"shift_seconds": self.clock.shift_seconds, "frozen_at": frozen_at}
        with self.writing():
            self._store.put("clock", "", document)

    def keep(self, kind: str, key: str, document: Json) -> None:
        """Keep what somebody else remembers; called inside `writing()`."""
        self._store.put(kind, key, document)

    def kept(self, kind: str) -> list[Json]:
        """What was kept of a kind, in no order."""
        with self.lock:
            return self._store.load(kind)

    def as_replica_sees(self, lag_seconds: float) -> dict[str, Booking | None]:
        """Bookings written within the lag, as they were before; None where they were not yet."""
        seen_until = self.clock.now() - timedelta(seconds=lag_seconds)
        older: dict[str, Booking | None] = {}
        with self.lock:
            for at, uid, before in reversed(self._replaced):
                if at <= seen_until:
                    break
                older[uid] = before
        return older

    def reset(self) -> None:
        """Empty, as on the first day. The clock runs with the real one again."""
        with self.writing():
            self._store.clear()
            self._empty()
            self.clock.reset()

    def close(self) -> None:
        with self.lock:
            self._store.close()
