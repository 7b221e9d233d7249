"""Whatever a stranger sends is read or refused, never a crash."""

import json
from datetime import UTC, datetime, timedelta, timezone

import pytest
from calcom_examples import UID, booking_json, event_type_json
from hypothesis import given, settings
from hypothesis import strategies as st

from webapp.calcom import reading, untrusted, writing
from webapp.calcom.payloads import BookingStatus
from webapp.calcom.untrusted import ShapeError

NINE = datetime(2026, 3, 2, 9, tzinfo=UTC)
SCALARS = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(st.characters())
    | st.sampled_from([UID, "2026-03-02T09:00:00Z", "9999-12-31T23:59:59-23:59", "\ud800", 2**70])
)
JSON = st.recursive(
    SCALARS, lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner), max_leaves=10
)


def damaged(example: dict[str, object]) -> st.SearchStrategy[dict[str, object]]:
    """The example with some of its fields replaced by anything."""
    changes = st.dictionaries(st.sampled_from(sorted(example)), JSON, max_size=4)
    return changes.map(lambda found: {**example, **found})


@pytest.mark.parametrize(
    "spelling",
    [
        "2026-03-02T09:00:00Z",
        "2026-03-02T09:00Z",
        "2026-03-02T09:00:00.000Z",
        "2026-03-02T09:00:00+00:00",
        "2026-03-02T10:00:00+01:00",
        "2026-03-02T09:00:00.000000000Z",
    ],
)
def test_every_spelling_of_an_instant_is_the_same_instant(spelling: str) -> None:
    assert untrusted.instant(spelling) == NINE
    assert untrusted.instant(spelling).tzinfo is UTC


@pytest.mark.parametrize(
    "odd",
    [
        None,
        "",
        0,
        1772442000,
        True,
        "2026-03-02",
        "2026-03-02T09:00:00",
        "2026-W10-1T09:00:00Z",
        "20260302T090000Z",
        "2026-02-30T09:00:00Z",
        "2026-03-02T24:00:00Z",
        "2026-03-02T09:00:00Z\n",
        "2026-03-02t09:00:00z",
        "٢٠٢٦-03-02T09:00:00Z",
        "0001-01-01T00:00:00+01:00",
        "9999-12-31T23:59:59-01:00",
        "2026-03-02T09:00:00+99:00",
        "2" * 10_000,
    ],
)
def test_what_is_no_instant_is_refused(odd: object) -> None:
    with pytest.raises(ShapeError, match="time"):
        untrusted.instant(odd)


def test_the_year_9999_is_an_instant() -> None:
    assert untrusted.instant("9999-12-31T23:59:59.000Z").year == 9999


@given(st.datetimes(timezones=st.timezones() | st.just(timezone(timedelta(hours=-9)))))
def test_an_instant_survives_writing_and_reading_to_the_millisecond(moment: datetime) -> None:
    try:
        written = writing.write_instant(moment)
    except OverflowError:
        return
    read = untrusted.instant(written)
    assert timedelta(0) <= moment.astimezone(UTC) - read < timedelta(milliseconds=1)


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"\xff\xfe",
        b'{"a": NaN}',
        b"-Infinity",
        b"[" * 100_000,
        b'{"a":' * 100_000,
        b"9" * 5_000,
        '{"a":1}'.encode("utf-16"),
        b"\xef\xbb\xbf{}",
    ],
)
def test_what_is_no_json_is_refused(raw: bytes) -> None:
    with pytest.raises(ShapeError):
        untrusted.parse_json(raw)


def test_text_can_be_stored_and_a_line_can_stand_in_a_mail_header() -> None:
    assert untrusted.text("a\x00b\ud800\nc") == "a\ufffdb\ufffd\nc"
    assert untrusted.line("Ada\r\nBcc: x@y.example\u2028!") == "Ada Bcc: x@y.example !"
    assert len(untrusted.text("x" * 20_000)) == 10_000
    assert untrusted.text(5) == untrusted.line(None) == ""


@pytest.mark.parametrize("odd", [4711, True, [], "a b", "../me", "ü", "x" * 101, "uid\n"])
def test_a_numeric_id_or_a_path_is_no_uid(odd: object) -> None:
    with pytest.raises(ShapeError, match="uid"):
        untrusted.uid(odd)


def test_no_uid_is_none() -> None:
    assert untrusted.uid(None) is untrusted.uid("") is None
    assert untrusted.uid(UID) == UID


def test_numbers_fit_their_columns() -> None:
    assert [untrusted.integer(each) for each in (5, 5.0, 2**63 - 1)] == [5, 5, 2**63 - 1]
    odd = (True, 5.5, 2**63, 10**400, float("inf"), "5", None)
    assert [untrusted.integer(each) for each in odd] == [None] * 7
    assert untrusted.number(10**400) is untrusted.number(float("nan")) is None


def test_of_metadata_only_the_flat_and_storable_part_is_kept() -> None:
    given_pairs = {
        "id": "a-1",
        "n": 3,
        "x": 1.5,
        "yes": True,
        "deep": {"a": 1},
        "list": [1],
        "none": None,
        "infinite": float("inf"),
        "nul\x00": "\x00",
    }
    assert untrusted.metadata(given_pairs) == {
        "id": "a-1",
        "n": 3,
        "x": 1.5,
        "yes": True,
        "nul\ufffd": "\ufffd",
    }


def test_a_booking_is_read_in_our_words() -> None:
    booking = reading.read_booking(booking_json(updatedAt="2026-02-01T08:00:01.500Z"))
    assert (booking.uid, booking.id, booking.event_type_id) == (UID, 4711, 100)
    assert (booking.start, booking.end) == (NINE, NINE + timedelta(minutes=30))
    assert booking.created_at == datetime(2026, 2, 1, 8, tzinfo=UTC)
    assert booking.updated_at == datetime(2026, 2, 1, 8, 0, 1, 500_000, tzinfo=UTC)
    [ada] = booking.attendees
    assert (ada.name, ada.email, ada.language) == ("Ada", "ada@customer.example", "de")
    assert (ada.time_zone, ada.phone_number, ada.absent) == (
        "Europe/Berlin",
        "+49301234567",
        False,
    )
    assert booking.guests == ("friend@customer.example",)
    assert booking.host_emails == ("grace@salon.example",)
    assert (booking.is_recurring, booking.is_seated) == (False, False)


@pytest.mark.parametrize(
    ("word", "status"),
    [
        ("accepted", BookingStatus.ACCEPTED),
        ("ACCEPTED", BookingStatus.ACCEPTED),
        ("pending", BookingStatus.PENDING),
        ("cancelled", BookingStatus.CANCELLED),
        ("rejected", BookingStatus.REJECTED),
        ("awaiting_host", BookingStatus.UNKNOWN),
        (None, BookingStatus.UNKNOWN),
    ],
)
def test_a_status_keeps_cal_coms_word(word: str | None, status: BookingStatus) -> None:
    booking = reading.read_booking(booking_json(status=word))
    assert (booking.status, booking.status_text) == (status, word or "")


def test_an_accepted_booking_with_a_cancellation_reason_is_accepted() -> None:
    booking = reading.read_booking(booking_json(cancellationReason="moved by host"))
    assert booking.status is BookingStatus.ACCEPTED


@pytest.mark.parametrize(
    "fields",
    [{"seatUid": "s-1"}, {"attendees": [{"name": "Ada", "email": "a@x.example", "seatUid": "s"}]}],
)
def test_a_seated_booking_is_known_as_one(fields: dict[str, object]) -> None:
    assert reading.read_booking(booking_json(**fields)).is_seated


def test_an_event_type_is_read_in_our_words() -> None:
    read = reading.read_event_type(event_type_json(confirmationPolicy={"type": "always"}))
    assert (read.id, read.title, read.length_minutes) == (100, "Haircut", 30)
    assert (read.before_buffer_minutes, read.after_buffer_minutes) == (5, 10)
    assert (read.minimum_notice_minutes, read.owner_id, read.currency) == (120, 7, "eur")
    assert (read.requires_confirmation, read.is_recurring, read.is_seated) == (True, False, False)


@pytest.mark.parametrize(
    ("fields", "flags"),
    [
        ({"confirmationPolicy": {"disabled": True}}, (False, False, False)),
        ({"recurrence": {"interval": 1, "frequency": "weekly"}}, (False, True, False)),
        ({"recurrence": {"disabled": True}}, (False, False, False)),
        ({"seats": {"seatsPerTimeSlot": 4}}, (False, False, True)),
        ({"seats": {"disabled": True}}, (False, False, False)),
        ({"seatsPerTimeSlot": 4}, (False, False, True)),
    ],
)
def test_what_can_not_be_bound_to_a_service_is_known(
    fields: dict[str, object], flags: tuple[bool, bool, bool]
) -> None:
    read = reading.read_event_type(event_type_json(**fields))
    assert (read.requires_confirmation, read.is_recurring, read.is_seated) == flags


def test_an_event_type_of_the_old_version_is_refused() -> None:
    old = event_type_json(length=30)
    del old["lengthInMinutes"]
    with pytest.raises(ShapeError, match="lengthInMinutes"):
        reading.read_event_type(old)


@given(damaged(booking_json()) | JSON)
@settings(max_examples=300, deadline=None)
def test_any_booking_is_read_or_refused(data: object) -> None:
    try:
        booking = reading.read_booking(data)
    except ShapeError:
        return
    assert booking.start.tzinfo is UTC
    repr(booking).encode("utf-8")


READERS = [
    reading.read_account,
    reading.read_event_type,
    reading.read_event_types,
    reading.read_slots,
    reading.read_webhook,
    reading.read_webhooks,
]


@given(damaged(event_type_json()) | JSON, st.sampled_from(READERS))
@settings(max_examples=200, deadline=None)
def test_any_other_answer_is_read_or_refused(data: object, read: object) -> None:
    try:
        repr(read(data)).encode("utf-8")  # type: ignore[operator]
    except ShapeError:
        return


@given(st.binary(max_size=300) | JSON.map(lambda value: json.dumps(value).encode()))
def test_any_bytes_are_json_or_refused(raw: bytes) -> None:
    try:
        untrusted.parse_json(raw)
    except ShapeError:
        return
