"""The one shape of every answer (docs/phone.md): what came of it, why, the sentence, the facts."""

from datetime import UTC, datetime
from typing import Any

from webapp.sync.phone.outcomes import BookedTime, Outcome, Reason
from webapp.views.phone.sentences import say
from webapp.views.phone.speech import Voice


def as_answer(outcome: Outcome, voice: Voice) -> dict[str, Any]:
    """Instants carry the offset of the company's zone; lists are there, and empty, in each."""
    return {
        "result": outcome.result.value,
        "reason": outcome.reason.value,
        "message": say(outcome, voice),
        "appointment": outcome.appointment and _appointment(outcome, outcome.appointment, voice),
        "appointments": [_appointment(outcome, each, voice) for each in outcome.appointments],
        "slots": [
            {"starts_at": _iso(start, voice), "spoken": voice.moment(start)}
            for start in outcome.starts
        ],
        "services": list(outcome.services),
    }


def starts_at_of(answer: dict[str, Any]) -> datetime:
    """When the appointment of a stored answer was to start."""
    return datetime.fromisoformat(answer["appointment"]["starts_at"]).astimezone(UTC)


def _appointment(outcome: Outcome, booked: BookedTime, voice: Voice) -> dict[str, Any]:
    return {
        "id": booked.id,
        "service": booked.service,
        "starts_at": _iso(booked.starts_at, voice),
        "ends_at": _iso(booked.ends_at, voice),
        "spoken": voice.moment(booked.starts_at),
        "is_confirmed": outcome.reason in (Reason.BOOKED, Reason.MOVED) or booked.is_confirmed,
    }


def _iso(instant: datetime, voice: Voice) -> str:
    return instant.astimezone(voice.zone).isoformat()
