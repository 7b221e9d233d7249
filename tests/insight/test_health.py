"""The one reason that says how a company stands: every branch, their order, both languages."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from flask import Flask
from flask_babel import force_locale

from webapp import clock
from webapp.insight.health import Facts, Health, Level, Reason, judge_health
from webapp.views.health_words import tell_health

NOW = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)
SOON = NOW + timedelta(minutes=5)
AGO = NOW - timedelta(hours=2)
WITHIN = timedelta(hours=12)

WELL = Facts(verified_at=AGO)
BRANCHES: list[tuple[dict[str, Any], Reason, str, str]] = [
    (
        {"has_key": False, "waiting": 2},
        Reason.NOT_CONNECTED,
        "2 changes wait: Cal.com is not connected yet.",
        "2 Änderungen warten: Cal.com ist noch nicht verbunden.",
    ),
    (
        {"is_broken": True},
        Reason.CONNECTION_BROKEN,
        "Nothing waits, but: Cal.com refuses the company's API key.",
        "Noch wartet nichts. Cal.com lehnt den API-Schlüssel der Firma ab.",
    ),
    (
        {"paused_at": AGO, "waiting": 1},
        Reason.PAUSED,
        "1 change waits: sending has been paused since 10:00.",
        "1 Änderung wartet: Das Senden ist seit 10:00 angehalten.",
    ),
    (
        {"open_incidents": 1},
        Reason.UNTRUSTED,
        "A verification cannot be believed. Somebody has to look at what it found.",
        "Einem Abgleich ist nicht zu trauen. Jemand muss ansehen, was er fand.",
    ),
    (
        {"is_queue_away": True, "waiting": 3},
        Reason.QUEUE_AWAY,
        "3 changes wait: the queue to the workers cannot be reached.",
        "3 Änderungen warten: Die Warteschlange zu den Workern ist nicht erreichbar.",
    ),
    (
        {"rate_limited_until": SOON, "waiting": 2},
        Reason.RATE_LIMITED,
        "2 changes wait: Cal.com asks us to slow down until 12:05.",
        "2 Änderungen warten: Cal.com bittet bis 12:05 um Zurückhaltung.",
    ),
    (
        {"breaker_open_until": SOON, "waiting": 1},
        Reason.BREAKER_OPEN,
        "1 change waits: Cal.com failed several times in a row; the next try is at 12:05.",
        "1 Änderung wartet: Cal.com ist mehrmals nacheinander ausgefallen; der nächste Versuch ist"
        " um 12:05.",
    ),
    (
        {"webhook_silent_since": NOW - timedelta(days=2)},
        Reason.WEBHOOK_SILENT,
        "Cal.com's webhook has been silent since Wed 18 Nov 2026, 12:00; changes there are found"
        " late.",
        "Der Webhook von Cal.com schweigt seit Mi. 18. Nov. 2026, 12:00; Änderungen dort werden"
        " spät gefunden.",
    ),
    (
        {"review": 1},
        Reason.REVIEW,
        "1 appointment needs a decision.",
        "1 Termin braucht eine Entscheidung.",
    ),
    (
        {"verified_at": None},
        Reason.NEVER_VERIFIED,
        "Nothing has been compared with Cal.com yet.",
        "Es wurde noch nichts mit Cal.com verglichen.",
    ),
    (
        {"verified_at": NOW - timedelta(days=3)},
        Reason.VERIFIED_LONG_AGO,
        "The last verification ended 3 days ago, which is too long ago.",
        "Der letzte Abgleich endete vor 3 Tagen, das ist zu lange her.",
    ),
    (
        {"waiting": 4},
        Reason.ON_THE_WAY,
        "4 changes are on their way to Cal.com; all else is in step.",
        "4 Änderungen sind unterwegs zu Cal.com; alles andere stimmt überein.",
    ),
    (
        {},
        Reason.IN_STEP,
        "All in step with Cal.com, last verified 2 hours ago.",
        "Alles stimmt mit Cal.com überein, zuletzt geprüft vor 2 Stunden.",
    ),
]


def judge(facts: Facts) -> Health:
    return judge_health(facts, now=NOW, verified_within=WITHIN)


@pytest.mark.parametrize(
    ("facts", "reason", "english", "german"), BRANCHES, ids=[each[1] for each in BRANCHES]
)
def test_each_reason_has_its_sentence_in_both_languages(
    app: Flask, facts: dict[str, Any], reason: Reason, english: str, german: str
) -> None:
    health = judge(replace(WELL, **facts))
    assert health.reason is reason
    clock.advance(NOW - clock.now())
    for language, sentence in (("en", english), ("de", german)):
        with app.test_request_context(), force_locale(language):
            assert tell_health(health) == sentence


def test_every_reason_is_reached() -> None:
    assert {each[1] for each in BRANCHES} == set(Reason)


def test_of_several_reasons_the_graver_is_told() -> None:
    """Each in the order of the list, together with all that follow it."""
    together: dict[str, Any] = {}
    for facts, reason, _english, _german in reversed(BRANCHES):
        together = {**together, **facts}
        assert judge(replace(WELL, **together)).reason is reason


def test_what_has_passed_holds_nothing_back() -> None:
    facts = replace(WELL, rate_limited_until=AGO, breaker_open_until=NOW)
    assert judge(facts) == Health(Reason.IN_STEP, Level.GOOD, at=AGO)
