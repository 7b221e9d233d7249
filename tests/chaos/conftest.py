import pytest
from flask import Flask

from tests.desk import Desk
from webapp.sandbox.server import RunningSandbox


@pytest.fixture
def desk(engine: Flask, sandbox: RunningSandbox) -> Desk:
    """A company connected to its own sandbox."""
    return Desk(sandbox)
