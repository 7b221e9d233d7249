"""Keys, uids and strangers' data stay out of logs, texts and representations."""

import logging
import traceback

import httpx
import pytest
import respx
from calcom_examples import KEY, SUCCESSOR, UID, refusal, success

from webapp.calcom.client import CalcomClient
from webapp.calcom.errors import CalcomError
from webapp.calcom.payloads import BookingQuery
from webapp.calcom.redaction import redact_detail

LEAKY = (
    f"Key {KEY} of ada@customer.example (+49 30 1234567) may not see uid={UID}; "
    f"try {SUCCESSOR} at https://app.cal.com/booking/{SUCCESSOR}, Bearer abc, cal_short"
)
SECRETS = (KEY, UID, SUCCESSOR, "ada@customer.example", "1234567", "abc", "cal_short")


def test_the_clients_representation_hides_the_key(client: CalcomClient) -> None:
    shown = repr(client) + repr(vars(client)) + repr(vars(client._exchange))
    assert KEY not in shown


def test_detail_is_cal_coms_text_without_its_secrets(
    api: respx.MockRouter, client: CalcomClient
) -> None:
    api.get("/me").mock(return_value=refusal(422, LEAKY))
    with pytest.raises(CalcomError) as caught:
        client.me()
    error = caught.value
    assert error.detail.startswith("Key … of … (")
    assert [each for each in SECRETS if each in error.detail] == []


def test_detail_is_short_and_on_one_line() -> None:
    assert redact_detail("no\r\nSubject: x\x00 y " * 100).count("\n") == 0
    assert len(redact_detail("word " * 1000)) <= 200


def test_a_uid_is_stripped_however_short_it_is() -> None:
    assert redact_detail("Booking with uid=b-1 was not found") == "Booking with … was not found"


def test_a_key_is_stripped_even_where_it_looks_like_no_key() -> None:
    assert redact_detail("your hunter2 is wrong", secrets=("hunter2", "")) == "your … is wrong"


@pytest.mark.parametrize("failing", [refusal(500, LEAKY), httpx.ReadError(LEAKY)])
def test_nothing_secret_is_in_an_errors_text_or_traceback(
    api: respx.MockRouter, client: CalcomClient, failing: object
) -> None:
    api.get(f"/bookings/{UID}").mock(side_effect=[failing])
    with pytest.raises(CalcomError) as caught:
        client.get_booking(UID)
    shown = "".join(traceback.format_exception(caught.value)) + repr(caught.value)
    assert [each for each in SECRETS if each in shown] == []


def test_no_log_line_of_any_library_names_a_uid_or_an_address(
    api: respx.MockRouter, client: CalcomClient, caplog: pytest.LogCaptureFixture
) -> None:
    api.get(f"/bookings/{UID}").mock(side_effect=[httpx.ReadError("reset")])
    api.get("/bookings").mock(return_value=success([]))
    with caplog.at_level(logging.DEBUG):
        with pytest.raises(CalcomError):
            client.get_booking(UID)
        client.list_bookings(BookingQuery(attendee_email="ada@customer.example"))
    assert [each for each in (KEY, UID, "ada") if each in caplog.text] == []


def test_no_cookie_is_kept_from_one_call_to_the_next(
    api: respx.MockRouter, client: CalcomClient
) -> None:
    answer = success({"id": 7})
    answer.headers["Set-Cookie"] = "session=stolen"
    route = api.get("/me").mock(return_value=answer)
    client.me()
    client.me()
    assert "cookie" not in route.calls.last.request.headers
