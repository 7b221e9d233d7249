"""Rendering: a page brings the navigation's numbers with it, a fragment does not."""

from typing import Any

from flask import Flask, render_template, request
from flask_babel import get_locale

from webapp import clock
from webapp.application import settings
from webapp.extensions import db
from webapp.notify.inbox import unread_count
from webapp.views.access import current_person

THEMES = ("light", "dark", "system")
THEME_COOKIE = "lockstep_theme"


def register(app: Flask) -> None:
    app.context_processor(_everywhere)


def render_page(template: str, **context: Any) -> str:
    """A whole page, with the unread badge in its navigation."""
    return render_template(template, unread=count_unread(), **context)


def count_unread() -> int:
    """The reader's unread and open notifications."""
    person = current_person()
    return 0 if person is None else unread_count(db.session(), person.id)


def chosen_theme() -> str:
    """What the reader chose; the system's unless they did."""
    theme = request.cookies.get(THEME_COOKIE, "system")
    return theme if theme in THEMES else "system"


def _everywhere() -> dict[str, Any]:
    return {
        "language": str(get_locale() or "en")[:2],
        "theme": chosen_theme(),
        "cards_poll_seconds": settings().cards_poll_seconds,
        "now": clock.now(),
    }
