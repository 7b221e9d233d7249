"""Who sent a webhook."""

import hashlib
import hmac

import pytest
from hypothesis import given
from hypothesis import strategies as st

from webapp.calcom.signatures import NO_SECRET, sign, verify

RAW = b'{"triggerEvent":"BOOKING_CREATED"}'


def test_a_signature_is_the_lower_case_hex_hmac_of_the_raw_bytes() -> None:
    assert sign(RAW, "hush") == hmac.new(b"hush", RAW, hashlib.sha256).hexdigest()


def test_the_right_secret_verifies_and_a_changed_byte_does_not() -> None:
    header = sign(RAW, "hush")
    assert verify(RAW, header, ["hush"])
    assert not verify(RAW + b" ", header, ["hush"])
    assert not verify(RAW, header, ["other"])


def test_during_a_rotation_old_and_new_secret_are_valid() -> None:
    for secret in ("old", "new"):
        assert verify(RAW, sign(RAW, secret), ["new", "old"])
    assert not verify(RAW, sign(RAW, "older"), ["new", "old"])


def test_a_webhook_without_secret_is_refused() -> None:
    assert not verify(RAW, NO_SECRET, ["hush"])
    assert not verify(RAW, sign(RAW, ""), [""])
    assert not verify(RAW, sign(RAW, "hush"), [])


@pytest.mark.parametrize("odd", [None, "", " ", "sha256=", "é" * 64, "A" * 64, "\ud800", "0" * 64])
def test_an_odd_header_is_a_plain_no(odd: str | None) -> None:
    assert verify(RAW, odd, ["hush"]) is False


def test_upper_case_prefix_and_surrounding_space_are_not_cal_coms() -> None:
    header = sign(RAW, "hush")
    for odd in (header.upper(), f"sha256={header}", f" {header}", f"{header}\n"):
        assert not verify(RAW, odd, ["hush"])


@given(st.binary(max_size=200), st.text(max_size=100), st.lists(st.text(max_size=20), max_size=3))
def test_verify_never_raises(raw: bytes, header: str, secrets: list[str]) -> None:
    assert verify(raw, header, secrets) is False
