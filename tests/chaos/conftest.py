from collections.abc import Iterator

import pytest
from flask import Flask

from tests.desk import Desk
from webapp.sandbox.server import RunningSandbox
from webapp.settings import Settings


@pytest.fixture
def call_seconds() -> float:
    """The deadline of a call: far away, so that a crowded machine makes no faults of its own."""
    return 10.0


@pytest.fixture
def patient(engine: Flask, settings: Settings, call_seconds: float) -> Iterator[Flask]:
    """The application, waiting longer for Cal.com than other tests let it."""
    patience = settings.model_copy(update={"calcom_call_seconds": call_seconds})
    engine.extensions["settings"] = patience
    yield engine
    engine.extensions["settings"] = settings


@pytest.fixture
def desk(patient: Flask, sandbox: RunningSandbox) -> Desk:
    """A company connected to its own sandbox."""
    return Desk(sandbox)
