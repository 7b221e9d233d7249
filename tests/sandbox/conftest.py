"""One sandbox for the whole folder, emptied and peopled anew for each test."""

from collections.abc import Iterator

import pytest
from sandbox_cast import (
    ANNA,
    ANNA_KEY,
    BEN,
    BEN_KEY,
    BENS_MASSAGE,
    CONSULTATION,
    HAIRCUT,
    NOW,
    SECRET,
    Caller,
    Subscriber,
    listening,
)

from webapp.sandbox.server import RunningSandbox, running_sandbox


@pytest.fixture(scope="session")
def running() -> Iterator[RunningSandbox]:
    with running_sandbox() as sandbox:
        yield sandbox


@pytest.fixture
def cal(running: RunningSandbox) -> Caller:
    """A Cal.com where Anna cuts hair and consults (on confirmation), and Ben gives massages."""
    caller = Caller(running.url)
    caller.steer("POST", "/reset")
    caller.steer("POST", "/clock", {"set": NOW})
    caller.steer("POST", "/accounts", {"email": ANNA, "name": "Anna Berg", "key": ANNA_KEY})
    caller.steer("POST", "/accounts", {"email": BEN, "name": "Ben Roth", "key": BEN_KEY})
    for event_type in (
        {"id": HAIRCUT, "account": ANNA, "title": "Haircut", "lengthInMinutes": 30},
        {"id": CONSULTATION, "account": ANNA, "title": "Consultation", "lengthInMinutes": 45}
        | {"requiresConfirmation": True},
        {"id": BENS_MASSAGE, "account": BEN, "title": "Massage", "lengthInMinutes": 60},
    ):
        caller.steer("POST", "/event-types", event_type)
    return caller


@pytest.fixture
def hook(cal: Caller) -> Iterator[Subscriber]:
    """A subscriber to everything that happens to Anna."""
    with listening() as subscriber:
        body = {"account": ANNA, "subscriberUrl": subscriber.url, "secret": SECRET}
        cal.steer("POST", "/webhooks", body)
        yield subscriber
