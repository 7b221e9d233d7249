from collections.abc import Iterator

import pytest
import respx
from calcom_examples import BASE, KEY

from webapp.calcom.client import CalcomClient, CallRecord


@pytest.fixture
def api() -> Iterator[respx.MockRouter]:
    with respx.mock(base_url=BASE, assert_all_called=False) as router:
        yield router


@pytest.fixture
def records() -> list[CallRecord]:
    return []


@pytest.fixture
def client(records: list[CallRecord]) -> Iterator[CalcomClient]:
    with CalcomClient(BASE, KEY, on_call=records.append) as made:
        yield made
