"""What is heard and what is said: days and times in, sentences in both languages out."""

from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest
from flask import Flask
from flask_babel import force_locale

from webapp.sync.phone.likeness import is_same_person, words
from webapp.sync.phone.outcomes import BookedTime, Outcome, Reason, Result
from webapp.views.phone.moments import read_day, read_moment, read_time
from webapp.views.phone.sentences import say
from webapp.views.phone.speech import Voice, spread

TODAY = date(2027, 3, 1)  # a Monday
BERLIN = ZoneInfo("Europe/Berlin")


@pytest.mark.parametrize(
    ("said", "day"),
    [
        ("2027-03-02", date(2027, 3, 2)),
        ("20270302", date(2027, 3, 2)),
        ("2.3.2027", date(2027, 3, 2)),
        ("02.03.", date(2027, 3, 2)),
        ("28.2.", date(2028, 2, 28)),
        ("1.3.", TODAY),
        ("Heute", TODAY),
        ("tomorrow", date(2027, 3, 2)),
        ("Übermorgen", date(2027, 3, 3)),
        ("Dienstag", date(2027, 3, 2)),
        ("monday", date(2027, 3, 8)),
        ("3. März 2027", date(2027, 3, 3)),
        ("Mittwoch, den 3. März", date(2027, 3, 3)),
        ("am 3. Apr.", date(2027, 4, 3)),
        ("March 3rd, 2027", date(2027, 3, 3)),
        ("3rd of March", date(2027, 3, 3)),
        ("Wednesday, March 3", date(2027, 3, 3)),
        ("29.2.", date(2028, 2, 29)),
        ("29.2.2027", None),
        ("31. Februar", None),
        ("03/04/2027", None),
        ("0001-01-01", None),
        ("9999-12-31", None),
        ("1.1.9999", None),
        ("next to never", None),
        ("3. Brumaire", None),
        ("", None),
    ],
)
def test_a_day_is_read_as_people_say_it(said: str, day: date | None) -> None:
    assert read_day(said, TODAY) == day


@pytest.mark.parametrize(
    ("said", "at"),
    [
        ("09:30", time(9, 30)),
        ("9:30:00", time(9, 30)),
        ("9.30", time(9, 30)),
        ("9", time(9)),
        ("9 Uhr", time(9)),
        ("um 9 Uhr 30", time(9, 30)),
        ("14h", time(14)),
        ("3 pm", time(15)),
        ("3:15 p.m.", time(15, 15)),
        ("12 am", time(0)),
        ("12:05 pm", time(12, 5)),
        ("0:00", time(0)),
        ("24:00", None),
        ("9:60", None),
        ("13 pm", None),
        ("-9", None),
        ("half past nine", None),
    ],
)
def test_a_time_is_read_as_people_say_it(said: str, at: time | None) -> None:
    assert read_time(said) == at


@pytest.mark.parametrize(
    ("said", "moment"),
    [
        ("2027-03-02T09:30", (date(2027, 3, 2), time(9, 30))),
        ("2027-03-02 09:30:59", (date(2027, 3, 2), time(9, 30))),
        ("2027-03-02T09:30:00Z", (date(2027, 3, 2), time(10, 30))),
        ("2027-03-02T23:30:00-05:00", (date(2027, 3, 3), time(5, 30))),
        ("2027-03-02", None),
        ("9999-12-31T23:59:59-23:59", None),
        ("0001-01-01T00:00:00+23:59", None),
    ],
)
def test_day_and_time_in_one_are_read_on_the_companys_clock(
    said: str, moment: tuple[date, time] | None
) -> None:
    assert read_moment(said, BERLIN) == moment


@pytest.mark.parametrize(
    ("language", "hour", "minute", "sentence"),
    [
        ("de", 9, 30, "Dienstag, den 2. März um 9 Uhr 30"),
        ("de", 14, 0, "Dienstag, den 2. März um 14 Uhr"),
        ("de", 9, 5, "Dienstag, den 2. März um 9 Uhr 05"),
        ("en", 9, 30, "Tuesday, 2 March at 9:30 am"),
        ("en", 14, 0, "Tuesday, 2 March at 2 pm"),
        ("en", 12, 0, "Tuesday, 2 March at 12 pm"),
    ],
)
def test_a_time_is_said_as_people_say_it(
    app: Flask, language: str, hour: int, minute: int, sentence: str
) -> None:
    instant = datetime(2027, 3, 2, hour, minute, tzinfo=BERLIN).astimezone(UTC)
    with app.test_request_context(), force_locale(language):
        assert Voice(language, BERLIN, TODAY).moment(instant) == sentence
        next_year = Voice(language, BERLIN, date(2026, 12, 1)).moment(instant)
        assert "2027" in next_year


@pytest.mark.parametrize("language", ["en", "de"])
@pytest.mark.parametrize("reason", list(Reason))
def test_there_is_a_sentence_for_every_outcome_in_both_languages(
    app: Flask, language: str, reason: Reason
) -> None:
    start = datetime(2027, 3, 2, 9, tzinfo=UTC)
    booked = BookedTime(7, 1, "Kontrolle", start, start + timedelta(minutes=30))
    outcome = Outcome(
        reason=reason,
        service="Kontrolle",
        wanted_at=start,
        wanted_day=start.date(),
        starts=(start, start + timedelta(days=1)),
        services=("Kontrolle", "Beratung"),
        appointment=booked,
        appointments=(booked, booked),
    )
    voice = Voice(language, BERLIN, TODAY)
    with app.test_request_context(), force_locale("en"):
        english = say(outcome, Voice("en", BERLIN, TODAY))
    with app.test_request_context(), force_locale(language):
        sentence = say(outcome, voice)
    assert "%(" not in sentence
    assert sentence[-1] in ".?"
    assert (sentence == english) is (language == "en")
    assert outcome.result in Result


def test_only_some_of_many_times_are_said() -> None:
    day = [datetime(2027, 3, 2, 9, tzinfo=UTC) + timedelta(minutes=30 * n) for n in range(16)]
    assert spread(day, 4) == [day[0], day[5], day[10], day[15]]
    assert spread(day[:3], 4) == day[:3]


@pytest.mark.parametrize(
    ("said", "on_file", "is_same"),
    [
        ("Lena Müller", "lena mueller", True),
        ("Frau Müller", "Lena Müller", True),
        ("Dr. Yilmaz", "Ayşe Yılmaz", True),
        ("Lena Muster", "Lena Müller", False),
        ("Jonas Müller", "Lena Müller", False),
        ("", "Lena Müller", False),
        ("Frau Dr.", "Lena Müller", False),
    ],
)
def test_a_person_is_known_by_name_however_it_is_spelled(
    said: str, on_file: str, is_same: bool
) -> None:
    assert is_same_person(said, on_file) is is_same
    assert words("  Straße—Zoë ") == ("strasse", "zoe")
