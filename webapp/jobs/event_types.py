"""Asking Cal.com for event types while a person waits: one for a form, all for a list."""

from webapp import clock
from webapp.calcom.client import CalcomClient
from webapp.calcom.errors import CalcomError
from webapp.calcom.payloads import EventType
from webapp.extensions import db
from webapp.jobs.connection import open_client
from webapp.sync.catalog import read_event_types
from webapp.sync.connection import mark_disconnected
from webapp.sync.service_sync import bookable, is_about_the_key


def ask_event_type(event_type_id: int) -> EventType:
    """One that this account's appointments can be booked as; raises CalcomError.

    Ends the transaction, as `open_client` does.
    """
    with open_client() as client:
        return bookable(read_event_types([event_type_id], client)[event_type_id])


def ask_event_types() -> tuple[EventType, ...]:
    """All of the account's, by title; raises CalcomError. Ends the transaction."""
    with open_client() as client:
        return list_of_account(client)


def list_of_account(client: CalcomClient) -> tuple[EventType, ...]:
    """`/me` first: a wrong key is answered with an empty list."""
    client.me()
    return tuple(sorted(client.list_event_types(), key=lambda each: (each.title, each.id)))


def note_refusal(error: CalcomError) -> None:
    """Where Cal.com refused the key, the company is told; commits."""
    if is_about_the_key(error):
        mark_disconnected(db.session(), error.code, now=clock.now())
        db.session.commit()
