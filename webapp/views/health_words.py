"""How the company stands, as a sentence with its reason."""

from collections.abc import Callable
from typing import NamedTuple

from flask import Flask
from flask_babel import ngettext

from webapp import clock
from webapp.insight.health import Health, Level, Reason
from webapp.views.formats import ago, clock_time, exact
from webapp.views.words import gettext as _


class Look(NamedTuple):
    colour: str
    icon: str


LOOKS: dict[Level, Look] = {
    Level.GOOD: Look("green", "circle-check"),
    Level.BUSY: Look("yellow", "clock"),
    Level.BAD: Look("red", "alert-triangle"),
}
PAGES: dict[Reason, str] = {
    Reason.UNTRUSTED: "incidents.index",
    Reason.WEBHOOK_SILENT: "deliveries.index",
    Reason.REVIEW: "reviews.index",
    Reason.NEVER_VERIFIED: "runs.index",
    Reason.VERIFIED_LONG_AGO: "runs.index",
}
"""Where the reader can see more."""


def register(app: Flask) -> None:
    app.jinja_env.globals.update(HEALTH_LOOKS=LOOKS, HEALTH_PAGES=PAGES)
    app.add_template_filter(tell_health)


def tell_health(health: Health) -> str:
    """`2 changes wait: Cal.com asks us to slow down until 14:05.`"""
    return _TELLERS[health.reason](health)


def _waiting(health: Health, why: str) -> str:
    """What waits, and why; the reason alone where nothing does."""
    if not health.count:
        return _("Nothing waits, but: %(why)s", why=why)
    number = health.count
    waits = ngettext("%(num)s change waits", "%(num)s changes wait", number)
    return _("%(waits)s: %(why)s", waits=waits, why=why)


def _when(health: Health) -> str:
    """The time alone where it is today's."""
    if health.at is None:
        return ""
    is_near = abs((health.at - clock.now()).total_seconds()) < 12 * 3600
    return clock_time(health.at) if is_near else exact(health.at)


def _not_connected(health: Health) -> str:
    return _waiting(health, _("Cal.com is not connected yet."))


def _broken(health: Health) -> str:
    return _waiting(health, _("Cal.com refuses the company's API key."))


def _paused(health: Health) -> str:
    return _waiting(health, _("sending has been paused since %(when)s.", when=_when(health)))


def _untrusted(_health: Health) -> str:
    return _("A verification cannot be believed. Somebody has to look at what it found.")


def _queue_away(health: Health) -> str:
    return _waiting(health, _("the queue to the workers cannot be reached."))


def _rate_limited(health: Health) -> str:
    return _waiting(health, _("Cal.com asks us to slow down until %(when)s.", when=_when(health)))


def _breaker_open(health: Health) -> str:
    why = _(
        "Cal.com failed several times in a row; the next try is at %(when)s.", when=_when(health)
    )
    return _waiting(health, why)


def _silent(health: Health) -> str:
    return _(
        "Cal.com's webhook has been silent since %(when)s; changes there are found late.",
        when=_when(health),
    )


def _review(health: Health) -> str:
    return str(
        ngettext(
            "%(num)s appointment needs a decision.",
            "%(num)s appointments need a decision.",
            health.count,
        )
    )


def _never(_health: Health) -> str:
    return _("Nothing has been compared with Cal.com yet.")


def _long_ago(health: Health) -> str:
    when = ago(health.at) if health.at else ""
    return _("The last verification ended %(when)s, which is too long ago.", when=when)


def _on_the_way(health: Health) -> str:
    return str(
        ngettext(
            "%(num)s change is on its way to Cal.com; all else is in step.",
            "%(num)s changes are on their way to Cal.com; all else is in step.",
            health.count,
        )
    )


def _in_step(health: Health) -> str:
    when = ago(health.at) if health.at else ""
    return _("All in step with Cal.com, last verified %(when)s.", when=when)


_TELLERS: dict[Reason, Callable[[Health], str]] = {
    Reason.NOT_CONNECTED: _not_connected,
    Reason.CONNECTION_BROKEN: _broken,
    Reason.PAUSED: _paused,
    Reason.UNTRUSTED: _untrusted,
    Reason.QUEUE_AWAY: _queue_away,
    Reason.RATE_LIMITED: _rate_limited,
    Reason.BREAKER_OPEN: _breaker_open,
    Reason.WEBHOOK_SILENT: _silent,
    Reason.REVIEW: _review,
    Reason.NEVER_VERIFIED: _never,
    Reason.VERIFIED_LONG_AGO: _long_ago,
    Reason.ON_THE_WAY: _on_the_way,
    Reason.IN_STEP: _in_step,
}
