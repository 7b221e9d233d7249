"""What each error code means, and what to do about it, in plain words."""

import re
from typing import NamedTuple

from flask import Flask
from flask_babel import LazyString
from flask_babel import lazy_gettext as _l


class Explanation(NamedTuple):
    """`meaning`: what happened. `advice`: what the reader can do, as an instruction."""

    meaning: LazyString
    advice: LazyString


_WAIT_OR_RETRY = _l(
    "Lockstep keeps trying by itself for a while. If it stays, press Retry; if Cal.com is"
    " down, wait until it is back."
)
_CHANGE_THE_TIME = _l(
    "Check the calendar on Cal.com, then move the appointment to a free time or cancel it."
)
_COMPARE = _l("Compare both sides, then take Cal.com's version or keep ours.")

_NOT_ALLOWED = Explanation(
    _l("Cal.com takes your company's API key, but does not allow this change with it."),
    _l(
        "Check on Cal.com that the service's event type belongs to the account whose API key is"
        " set here, then push again."
    ),
)

EXPLANATIONS = {
    "TIMEOUT": Explanation(
        _l("Cal.com did not answer in time, so it is unknown whether the change arrived there."),
        _WAIT_OR_RETRY,
    ),
    "CONNECTION": Explanation(_l("Cal.com could not be reached."), _WAIT_OR_RETRY),
    "HTTP_5XX": Explanation(_l("Cal.com answered with an error of its own."), _WAIT_OR_RETRY),
    "RATE_LIMITED": Explanation(
        _l("Cal.com is taking no more requests from this account for the moment."),
        _l("Nothing to do: Lockstep waits until Cal.com's limit is reset and goes on by itself."),
    ),
    "LISTING_LAGS": Explanation(
        _l("An earlier try may have reached Cal.com, whose lists may not show it yet."),
        _l("Nothing to do: Lockstep looks again in a moment, so that nothing is booked twice."),
    ),
    "CIRCUIT_OPEN": Explanation(
        _l("Cal.com failed several times in a row, so Lockstep is pausing before it tries again."),
        _l("Nothing to do: it goes on by itself as soon as Cal.com answers."),
    ),
    "UNAUTHORIZED": Explanation(
        _l("Cal.com refused your company's API key."),
        _l(
            "An admin has to make a new API key in Cal.com and have it set here. Everything that"
            " waits then goes on by itself."
        ),
    ),
    "HTTP_401": _NOT_ALLOWED,
    "HTTP_403": _NOT_ALLOWED,
    "HTTP_498": _NOT_ALLOWED,
    "HTTP_409": Explanation(
        _l("Cal.com says that another booking is in the way, or that all seats are taken."),
        _CHANGE_THE_TIME,
    ),
    "SLOT_UNAVAILABLE": Explanation(
        _l(
            "The time is not free on Cal.com, is past, too soon or too far away, or lies outside"
            " the working hours set there."
        ),
        _CHANGE_THE_TIME,
    ),
    "SLOT_LEAVING": Explanation(
        _l(
            "The time is still taken on Cal.com by another of your appointments, whose cancellation"
            " or move is on its way there."
        ),
        _l(
            "Nothing to do: it goes on by itself as soon as the time is free. If it stays, look at"
            " the other appointment, which is flagged too."
        ),
    ),
    "HTTP_400": Explanation(
        _l("Cal.com refused the change: it does not accept something in it."),
        _l(
            "Check the customer's details and the questions that the event type asks on Cal.com,"
            " then push again. If it stays, move the appointment, or cancel it and book anew."
        ),
    ),
    "HTTP_404": Explanation(
        _l("Cal.com no longer knows the booking or the event type of this service."),
        _l("Check on Cal.com that the service's event type still exists, then push again."),
    ),
    "HTTP_422": Explanation(
        _l("Cal.com found something in the booking that it cannot accept, or nobody to host it."),
        _l(
            "Check the customer's e-mail and phone number, and on Cal.com that the event type has"
            " a host; then push again."
        ),
    ),
    "HTTP_4XX": Explanation(
        _l("Cal.com refused the request."),
        _l("Press Retry once. If it stays, give the code and the time to your operator."),
    ),
    "NO_EVENT_TYPE": Explanation(
        _l("The service has no Cal.com event type, so nothing was sent."),
        _l("Give the service an event type; then push again."),
    ),
    "NOT_OUR_EVENT_TYPE": Explanation(
        _l("The event type belongs to another Cal.com account than your company's."),
        _l("Give the service an event type of the account whose API key is set here."),
    ),
    "NOT_BINDABLE": Explanation(
        _l("The event type offers seats or recurs. Such bookings cannot be kept in step."),
        _l("Give the service an event type without seats and without a series."),
    ),
    "QUEUE_AWAY": Explanation(
        _l("The work could not be handed to the workers."),
        _l("It is tried again by itself. If it stays, tell your operator that Redis is away."),
    ),
    "PROTOCOL": Explanation(
        _l("Cal.com answered in a form that Lockstep does not know."),
        _l("Tell your operator: the address of Cal.com or its version needs a look."),
    ),
    "ORPHANED_LOCAL": Explanation(
        _l("The appointment exists here, but Cal.com has no booking for it."),
        _l(
            "If it is still meant to take place, push it again. If it was cancelled on Cal.com,"
            " take Cal.com's version: that cancels it here too."
        ),
    ),
    "ORPHANED_CALCOM": Explanation(
        _l("The booking exists on Cal.com; no appointment here belonged to it."),
        _l("Check with the customer, then adopt it or cancel it on Cal.com."),
    ),
    "DATA_MISMATCH": Explanation(
        _l("The appointment here and the booking on Cal.com no longer say the same."), _COMPARE
    ),
    "VERIFICATION_ERROR": Explanation(
        _l("Cal.com could not be asked whether both sides agree."), _WAIT_OR_RETRY
    ),
    "VERIFICATION_UNTRUSTED": Explanation(
        _l("What Cal.com showed could not be believed, so nothing was flagged."),
        _l("Look at the incident: run the verification again, or confirm what was found."),
    ),
    "INTERNAL": Explanation(
        _l("Something that nobody foresaw went wrong in Lockstep; nothing was lost by it."),
        _l("Tell your operator the code and the time: the log has what happened."),
    ),
    "LEASE_LOST": Explanation(
        _l("A worker held this change for too long, so another one took it over."),
        _l("Nothing to do: the other worker looks first, so nothing is done twice."),
    ),
    "NO_MAIL_SERVER": Explanation(
        _l("No mail can be sent: there is no mail server."),
        _l("Ask your operator to set one; until then everything stands in the inbox."),
    ),
    "RECIPIENT_REFUSED": Explanation(
        _l("The mail server does not take mail for this person's address."),
        _l("Check the person's e-mail address."),
    ),
    "SMTP_REFUSED": Explanation(
        _l("The mail server refused our mail."),
        _l("Tell your operator; the mail is sent again by itself for a while."),
    ),
    "SMTP_AWAY": Explanation(
        _l("The mail server could not be reached."),
        _l("Tell your operator; the mail is sent again by itself for a while."),
    ),
    "SMTP_UNSURE": Explanation(
        _l("The mail server had the whole mail and did not say whether it took it."),
        _l("Look whether it arrived; after a second try it is not sent again. Tell your operator."),
    ),
    "CHAT_ADDRESS": Explanation(
        _l("The address of the chat channel cannot be used."),
        _l("Make a new address in the chat service and enter it under Settings, Notifications."),
    ),
    "CHAT_REFUSED": Explanation(
        _l("The chat service did not take the message."),
        _l("Send a test from Settings, Notifications; if it fails too, make a new address there."),
    ),
}
UNKNOWN = Explanation(
    _l("Something unexpected happened between Lockstep and Cal.com."),
    _l("Press Retry once. If it stays, give the code and the time to your operator."),
)


def register(app: Flask) -> None:
    app.add_template_filter(explain)


def explain(code: str | None) -> Explanation:
    """The explanation of a code of S3.5; any HTTP status has one."""
    return EXPLANATIONS.get(family_of(code or ""), UNKNOWN)


def family_of(code: str) -> str:
    """Under which code it is explained: `HTTP_5XX` for `HTTP_503`; itself where it has its own."""
    status = re.fullmatch(r"HTTP_([45])\w\w", code)
    return f"HTTP_{status[1]}XX" if status and code not in EXPLANATIONS else code
