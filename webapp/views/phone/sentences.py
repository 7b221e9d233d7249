"""What is said for each outcome. The sentences are the company's, not the reader's: a voice agent
reads them out to whoever has called."""

from collections.abc import Callable

from webapp.sync.phone.outcomes import BookedTime, Outcome, Reason
from webapp.views.phone.speech import Voice
from webapp.views.words import gettext as _


def say(outcome: Outcome, voice: Voice) -> str:
    """The sentence for an outcome, in the language in force (see `flask_babel.force_locale`)."""
    return _SAYINGS[outcome.reason](outcome, voice)


def _free(outcome: Outcome, voice: Voice) -> str:
    return _(
        "%(service)s on %(moment)s is free.",
        service=outcome.service,
        moment=_wanted(outcome, voice),
    )


def _openings(outcome: Outcome, voice: Voice) -> str:
    return _(
        "For %(service)s I can offer you %(times)s.",
        service=outcome.service,
        times=voice.times(outcome.starts),
    )


def _booked(outcome: Outcome, voice: Voice) -> str:
    return _("%(service)s is booked for %(moment)s.", **_facts(outcome.appointment, voice))


def _booked_already(outcome: Outcome, voice: Voice) -> str:
    return _(
        "You have this appointment already: %(service)s on %(moment)s.",
        **_facts(outcome.appointment, voice),
    )


def _noted(outcome: Outcome, voice: Voice) -> str:
    return _(
        "%(service)s on %(moment)s is noted. I can't look into the calendar at the moment;"
        " we will confirm the appointment.",
        **_facts(outcome.appointment, voice),
    )


def _moved(outcome: Outcome, voice: Voice) -> str:
    return _(
        "Your appointment is moved: %(service)s is now on %(moment)s.",
        **_facts(outcome.appointment, voice),
    )


def _move_noted(outcome: Outcome, voice: Voice) -> str:
    return _(
        "Your wish is noted: %(service)s on %(moment)s. I can't look into the calendar at the"
        " moment; we will confirm the new time.",
        **_facts(outcome.appointment, voice),
    )


def _cancelled(outcome: Outcome, voice: Voice) -> str:
    return _(
        "Your appointment is cancelled: %(service)s on %(moment)s.",
        **_facts(outcome.appointment, voice),
    )


def _found(outcome: Outcome, voice: Voice) -> str:
    if len(outcome.appointments) == 1:
        return _(
            "You have one appointment: %(service)s on %(moment)s.",
            **_facts(outcome.appointments[0], voice),
        )
    return _("You have these appointments: %(list)s.", list=_list(outcome, voice))


def _taken(outcome: Outcome, voice: Voice) -> str:
    sorry = _("I am sorry, %(moment)s is not free.", moment=_wanted(outcome, voice))
    return _with_others(sorry, outcome, voice)


def _day_full(outcome: Outcome, voice: Voice) -> str:
    sorry = _("I am sorry, nothing is free on %(day)s.", day=_day(outcome, voice))
    return _with_others(sorry, outcome, voice)


def _with_others(sorry: str, outcome: Outcome, voice: Voice) -> str:
    if not outcome.starts:
        return sorry + " " + _("Which other time would suit you?")
    return sorry + " " + _("I can offer you %(times)s.", times=voice.times(outcome.starts))


def _nothing_free(outcome: Outcome, _voice: Voice) -> str:
    return _(
        "I am sorry, for %(service)s nothing is free in that week. Shall I look at a later one?",
        service=outcome.service,
    )


def _service_unknown(outcome: Outcome, voice: Voice) -> str:
    return _(
        "Which of these would you like: %(services)s?", services=voice.either(outcome.services)
    )


def _several_appointments(outcome: Outcome, voice: Voice) -> str:
    return _(
        "You have several appointments: %(list)s. Which one do you mean?",
        list=_list(outcome, voice),
    )


def _no_such_appointment(outcome: Outcome, voice: Voice) -> str:
    return _(
        "I don't find that appointment. You have %(list)s. Which one do you mean?",
        list=_list(outcome, voice),
    )


def _in_past(outcome: Outcome, voice: Voice) -> str:
    return _("%(moment)s has passed already. Which time shall it be?", moment=_when(outcome, voice))


def _too_far(outcome: Outcome, voice: Voice) -> str:
    return _("%(moment)s is too far ahead. Which time shall it be?", moment=_when(outcome, voice))


def _time_missing(outcome: Outcome, voice: Voice) -> str:
    return _("At what time on %(day)s shall it be?", day=_day(outcome, voice))


def _time_skipped(outcome: Outcome, voice: Voice) -> str:
    return _(
        "On %(day)s the clocks are put forward, and that time does not exist. Which other time"
        " would suit you?",
        day=_day(outcome, voice),
    )


def _unchanged(outcome: Outcome, voice: Voice) -> str:
    return _(
        "Your appointment is on %(moment)s already. Which other time shall it be?",
        **_facts(outcome.appointment, voice),
    )


def _plain(sentence: Callable[[], str]) -> Callable[[Outcome, Voice], str]:
    return lambda _outcome, _voice: sentence()


_SAYINGS: dict[Reason, Callable[[Outcome, Voice], str]] = {
    Reason.FREE: _free,
    Reason.OPENINGS: _openings,
    Reason.BOOKED: _booked,
    Reason.BOOKED_ALREADY: _booked_already,
    Reason.NOTED: _noted,
    Reason.MOVED: _moved,
    Reason.MOVE_NOTED: _move_noted,
    Reason.CANCELLED: _cancelled,
    Reason.FOUND: _found,
    Reason.TAKEN: _taken,
    Reason.DAY_FULL: _day_full,
    Reason.NOTHING_FREE: _nothing_free,
    Reason.CALENDAR_AWAY: _plain(
        lambda: _(
            "I am sorry, I can't look into the calendar at the moment and can't take an"
            " appointment. Please call again a little later."
        )
    ),
    Reason.CALENDAR_UNCHECKED: _plain(
        lambda: _(
            "I can't look into the calendar at the moment. Tell me the time that you wish; I will"
            " note it and we will confirm it."
        )
    ),
    Reason.SERVICE_MISSING: _service_unknown,
    Reason.SERVICE_UNKNOWN: _service_unknown,
    Reason.DATE_MISSING: _plain(lambda: _("On which day shall it be?")),
    Reason.DATE_UNCLEAR: _plain(
        lambda: _("I did not understand the day. Please tell me day, month and year.")
    ),
    Reason.TIME_MISSING: _time_missing,
    Reason.TIME_UNCLEAR: _plain(
        lambda: _("I did not understand the time. Please tell me hour and minutes.")
    ),
    Reason.TIME_SKIPPED: _time_skipped,
    Reason.NAME_MISSING: _plain(lambda: _("Please tell me your first and last name.")),
    Reason.CONTACT_MISSING: _plain(
        lambda: _(
            "How can we reach you? Please tell me an e-mail address, or a phone number with its"
            " country code."
        )
    ),
    Reason.EMAIL_UNCLEAR: _plain(
        lambda: _("I did not understand the e-mail address. Please spell it for me.")
    ),
    Reason.PHONE_UNCLEAR: _plain(
        lambda: _(
            "I did not understand the phone number. Please tell me the whole number with its"
            " country code."
        )
    ),
    Reason.CALLER_UNKNOWN: _plain(
        lambda: _(
            "I don't find you under this number. Please tell me your name, and the e-mail address"
            " or phone number that the appointment was made with."
        )
    ),
    Reason.SEVERAL_CUSTOMERS: _plain(
        lambda: _("Several people are on file with this number. For whom is the appointment?")
    ),
    Reason.SEVERAL_APPOINTMENTS: _several_appointments,
    Reason.NO_APPOINTMENT: _plain(lambda: _("I find no coming appointment of yours.")),
    Reason.NO_SUCH_APPOINTMENT: _no_such_appointment,
    Reason.NOTHING_OFFERED: _plain(
        lambda: _("I am sorry, nothing can be booked at the moment. Please call again later.")
    ),
    Reason.IN_PAST: _in_past,
    Reason.TOO_FAR: _too_far,
    Reason.UNCHANGED: _unchanged,
    Reason.NOT_LIVE: _plain(
        lambda: _("That appointment is cancelled or over and can no longer be changed.")
    ),
    Reason.ALREADY_STARTED: _plain(
        lambda: _("That appointment has already begun and can no longer be changed.")
    ),
    Reason.SERVICE_NOT_OFFERED: _plain(
        lambda: _("I am sorry, that is no longer offered. What else would you like?")
    ),
}


def _facts(appointment: BookedTime | None, voice: Voice) -> dict[str, str]:
    if appointment is None:
        raise ValueError("this outcome tells of an appointment")
    return {"service": appointment.service, "moment": voice.moment(appointment.starts_at)}


def _list(outcome: Outcome, voice: Voice) -> str:
    return voice.all_of(
        _("%(service)s on %(moment)s", **_facts(each, voice)) for each in outcome.appointments
    )


def _wanted(outcome: Outcome, voice: Voice) -> str:
    return voice.moment(outcome.wanted_at) if outcome.wanted_at else outcome.service


def _day(outcome: Outcome, voice: Voice) -> str:
    return voice.day(outcome.wanted_day) if outcome.wanted_day else ""


def _when(outcome: Outcome, voice: Voice) -> str:
    return voice.moment(outcome.wanted_at) if outcome.wanted_at else _day(outcome, voice)
