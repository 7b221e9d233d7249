"""Who sees what: a blueprint per screen, and the doors that programs use."""

from flask import Flask


def register(app: Flask) -> None:
    """Put headers, entrance and words in place, then the screens."""
    from webapp.views import (
        access,
        assets,
        errors,
        evidence,
        explanations,
        formats,
        headers,
        notifications,
        outcomes,
        pages,
        pauses,
        settlements,
        timeline,
        wording,
    )

    for part in (
        headers,
        access,
        errors,
        assets,
        pages,
        pauses,
        formats,
        wording,
        explanations,
        evidence,
        timeline,
        outcomes,
        settlements,
        notifications,
    ):
        part.register(app)
    _register_screens(app)


def _register_screens(app: Flask) -> None:
    from webapp.views import (
        appointments,
        booking,
        bulk_actions,
        changes,
        login,
        notifications,
        overview,
        pauses,
        profile,
        reviews,
        settings,
        settlements,
        verifications,
    )

    for screen in (
        login,
        overview,
        appointments,
        booking,
        changes,
        reviews,
        settlements,
        bulk_actions,
        verifications,
        notifications,
        profile,
        settings,
        pauses,
    ):
        app.register_blueprint(screen.blueprint)
    _register_doors(app)


def _register_doors(app: Flask) -> None:
    from webapp.views import calcom_webhook, health

    for door in (calcom_webhook, health):
        app.register_blueprint(door.blueprint)
