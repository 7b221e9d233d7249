"""Every code is explained, every finding told, every event named, whatever is missing in it."""

import pytest
from flask import Flask
from flask_babel import force_locale

from webapp.calcom import errors
from webapp.models.discrepancy import Discrepancy, DiscrepancyType, Resolution
from webapp.models.history import EventKind, HistoryEvent
from webapp.models.notification import NotificationType
from webapp.sync import answers
from webapp.views import wording
from webapp.views.evidence import in_plain_words
from webapp.views.explanations import EXPLANATIONS, UNKNOWN, explain
from webapp.views.timeline import MARKS, details

CODES = (
    "VERIFICATION_UNTRUSTED",
    "TIMEOUT",
    "CONNECTION",
    "RATE_LIMITED",
    "CIRCUIT_OPEN",
    "LISTING_LAGS",
    "UNAUTHORIZED",
    "HTTP_409",
    "SLOT_UNAVAILABLE",
    "SLOT_LEAVING",
    "HTTP_400",
    "HTTP_401",
    "HTTP_403",
    "HTTP_498",
    "HTTP_404",
    "HTTP_422",
    "NO_EVENT_TYPE",
    "PROTOCOL",
    "ORPHANED_LOCAL",
    "ORPHANED_CALCOM",
    "DATA_MISMATCH",
    "VERIFICATION_ERROR",
    "HTTP_500",
    "HTTP_503",
    "HTTP_418",
    "HTTP_5xx",
)


@pytest.mark.parametrize("code", CODES)
def test_every_code_is_explained(code: str) -> None:
    assert explain(code) is not UNKNOWN


@pytest.mark.parametrize("code", CODES)
def test_every_code_says_what_to_do_in_both_languages(app: Flask, code: str) -> None:
    told = {}
    for locale in ("en", "de"):
        with app.test_request_context(), force_locale(locale):
            explanation = explain(code)
            told[locale] = (str(explanation.meaning), str(explanation.advice))
    assert all(text.strip() for texts in told.values() for text in texts)
    assert told["en"][0] != told["de"][0]
    assert told["en"][1] != told["de"][1]


def test_every_code_the_client_knows_is_explained() -> None:
    """A new code needs an explanation: add it to EXPLANATIONS."""
    codes = {
        value
        for module in (errors, answers)
        for name, value in vars(module).items()
        if name.isupper() and value == name
    }
    assert {"TIMEOUT", "PROTOCOL", "NO_EVENT_TYPE", "LISTING_LAGS"} <= codes
    assert [code for code in sorted(codes) if explain(code) is UNKNOWN] == []


def test_an_unknown_code_is_explained_too() -> None:
    assert explain("SOMETHING_NEW") is explain(None) is UNKNOWN
    assert explain("HTTP_503") is EXPLANATIONS["HTTP_5XX"]
    assert explain("HTTP_451") is EXPLANATIONS["HTTP_4XX"]


def test_everything_has_a_word() -> None:
    assert set(wording.DISCREPANCIES) == set(DiscrepancyType)
    assert set(wording.NOTIFICATIONS) == set(NotificationType)
    assert set(wording.RESOLUTIONS) == set(Resolution)
    assert set(MARKS) == set(EventKind)


@pytest.mark.parametrize("kind", list(EventKind))
@pytest.mark.parametrize(
    "data",
    [
        {},
        {"starts_at": None, "code": None, "fields": None, "again_at": "soon", "detail": None},
        {"fields": {"starts_at": None}, "resolution": "unheard of", "operation": 7},
    ],
)
def test_events_are_told_whatever_is_missing(
    app: Flask, kind: EventKind, data: dict[str, object]
) -> None:
    with app.test_request_context():
        assert all(details(HistoryEvent(kind=kind, data=data)))


@pytest.mark.parametrize(
    ("moved", "expected"),
    [
        (
            "theirs",
            "Cal.com moved it to Wed 7 Jan 2026, 15:00; ours is unchanged since both agreed.",
        ),
        (
            "ours",
            "It was moved here to Wed 7 Jan 2026, 10:00; Cal.com is unchanged since both agreed.",
        ),
        ("both", "Both sides moved it: here to Wed 7 Jan 2026, 10:00"),
        ("unknown", "Here it starts Wed 7 Jan 2026, 10:00, on Cal.com Wed 7 Jan 2026, 15:00."),
    ],
)
def test_evidence_says_who_moved_it(app: Flask, moved: str, expected: str) -> None:
    start = {
        "base": "2026-01-07T10:00:00+00:00",
        "ours": "2026-01-07T10:00:00+00:00",
        "theirs": "2026-01-07T15:00:00Z",
        "moved": moved,
    }
    finding = Discrepancy(code="DATA_MISMATCH", evidence={"fields": {"starts_at": start}})
    with app.test_request_context():
        assert in_plain_words(finding)[0].startswith(expected)


@pytest.mark.parametrize(
    "evidence", [{}, {"fields": None}, {"fields": {"status": {}}}, {"remote_updated_at": "x"}]
)
def test_evidence_is_told_whatever_is_missing(app: Flask, evidence: dict[str, object]) -> None:
    with app.test_request_context():
        assert in_plain_words(Discrepancy(code="TIMEOUT", evidence=evidence))
