"""Why each error code comes about, most likely: what the help pages say beyond its explanation."""

from flask_babel import LazyString
from flask_babel import lazy_gettext as _l

_SILENCE = _l("Cal.com or the network between is overloaded or down, mostly for minutes.")
_KEY = _l(
    "The API key belongs to somebody who may not do this on Cal.com: another account than the event"
    " type's, or one whose plan or rights have changed."
)
_MAIL = _l("The mail server's address, port, name or password changed, or it is down.")

CAUSES: dict[str, LazyString] = {
    "TIMEOUT": _SILENCE,
    "CONNECTION": _SILENCE,
    "HTTP_5XX": _l("A fault or a deployment on Cal.com's side; its status page tells."),
    "RATE_LIMITED": _l(
        "Many changes at once, or other programs that use the same API key: Cal.com counts them"
        " together."
    ),
    "LISTING_LAGS": _l("Cal.com answers lists from a copy that is some seconds behind."),
    "CIRCUIT_OPEN": _l("Cal.com has just failed five times in a row for your company."),
    "UNAUTHORIZED": _l("The key was deleted, replaced or has expired in Cal.com's settings."),
    "HTTP_401": _KEY,
    "HTTP_403": _KEY,
    "HTTP_498": _KEY,
    "HTTP_409": _l("Somebody booked the same time on Cal.com while this change was on its way."),
    "SLOT_UNAVAILABLE": _l(
        "Working hours, minimum notice, buffers or another calendar that Cal.com looks at."
    ),
    "SLOT_LEAVING": _l(
        "Two changes were made shortly after each other, and the one that makes room is not through"
        " yet."
    ),
    "HTTP_400": _l(
        "The event type asks for something that is missing here, or a question of it was added or"
        " made compulsory lately."
    ),
    "HTTP_404": _l("The event type was deleted, or belongs to another account or team now."),
    "HTTP_422": _l("A phone number without country code, or an event type without a host."),
    "HTTP_4XX": _l("Something that Cal.com says no to and that Lockstep has no word for."),
    "NO_EVENT_TYPE": _l("The service was made here and never tied to Cal.com."),
    "NOT_OUR_EVENT_TYPE": _l(
        "The event type belongs to somebody else on Cal.com, or the API key was changed to another"
        " account's."
    ),
    "NOT_BINDABLE": _l("The event type was given seats or made recurring on Cal.com."),
    "QUEUE_AWAY": _l("Redis, which hands work to the workers, is down or overloaded."),
    "PROTOCOL": _l("Cal.com has a new version, or the address leads to something else."),
    "ORPHANED_LOCAL": _l(
        "The booking was deleted on Cal.com, its host or event type was, or it never got there."
    ),
    "ORPHANED_CALCOM": _l(
        "It was booked on Cal.com while its webhook did not reach Lockstep, or before Lockstep was"
        " connected."
    ),
    "DATA_MISMATCH": _l(
        "It was moved or cancelled on one side, and the other side was not told or was changed too."
    ),
    "VERIFICATION_ERROR": _SILENCE,
    "VERIFICATION_UNTRUSTED": _l(
        "The API key is another account's, Cal.com answers with part of its bookings, or many"
        " really were deleted there."
    ),
    "INTERNAL": _l("A fault in Lockstep itself."),
    "LEASE_LOST": _l("A worker was stopped, or was so slow that another one was given its work."),
    "NO_MAIL_SERVER": _l("The operator has not set a mail server."),
    "RECIPIENT_REFUSED": _l("The address is mistyped or no longer exists."),
    "SMTP_REFUSED": _MAIL,
    "SMTP_AWAY": _MAIL,
    "SMTP_UNSURE": _l(
        "The mail server takes longer than two minutes over a mail, e.g. to scan it."
    ),
    "CHAT_ADDRESS": _l("The channel was removed in the chat service, or its address was mistyped."),
    "CHAT_REFUSED": _l("The chat service limits messages, or the channel's address was withdrawn."),
}
"""By the keys of EXPLANATIONS."""

UNKNOWN_CAUSE = _l("Something that Lockstep does not know yet.")
