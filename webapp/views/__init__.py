"""Who sees what: a blueprint per screen, and the doors that programs use."""

from flask import Flask


def register(app: Flask) -> None:
    """Put headers, entrance and words in place, then the screens."""
    from webapp.views import (
        access,
        assets,
        audit_words,
        delivery_words,
        drift,
        errors,
        evidence,
        explanations,
        formats,
        headers,
        health_words,
        monitoring,
        notifications,
        outcomes,
        pages,
        pauses,
        run_words,
        settlements,
        suspicion,
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
        delivery_words,
        audit_words,
        explanations,
        evidence,
        timeline,
        notifications,
        health_words,
        drift,
        run_words,
        suspicion,
        outcomes,
        settlements,
        monitoring,
    ):
        part.register(app)
    _register_screens(app)


def _register_screens(app: Flask) -> None:
    from webapp.views import (
        appointments,
        audit,
        booking,
        bulk_actions,
        bulk_cancellations,
        calendar,
        changes,
        channels,
        company_settings,
        connection_settings,
        customer_data,
        customers,
        deliveries,
        edits,
        first_steps,
        guidance,
        incidents,
        invitations,
        login,
        monitoring,
        notifications,
        overview,
        passwords,
        pauses,
        people,
        policies,
        profile,
        reviews,
        runs,
        saved_views,
        search,
        service_forms,
        service_syncs,
        services,
        settings,
        settlements,
        thresholds,
        tokens,
        verifications,
        wishes,
    )

    for screen in (
        login,
        overview,
        appointments,
        booking,
        changes,
        edits,
        saved_views,
        search,
        guidance,
        bulk_cancellations,
        calendar,
        channels,
        wishes,
        reviews,
        settlements,
        bulk_actions,
        verifications,
        deliveries,
        notifications,
        profile,
        settings,
        tokens,
        pauses,
        policies,
        services,
        service_forms,
        service_syncs,
        customers,
        customer_data,
        people,
        invitations,
        passwords,
        company_settings,
        connection_settings,
        first_steps,
        runs,
        incidents,
        audit,
        monitoring,
        thresholds,
    ):
        app.register_blueprint(screen.blueprint)
    _register_doors(app)


def _register_doors(app: Flask) -> None:
    from webapp.views import calcom_webhook, health, metrics
    from webapp.views.api import appointments, changes, docs, entrance, lookups  # noqa: F401
    from webapp.views.phone import door as phone

    for door in (calcom_webhook, phone, health, metrics, entrance, docs):
        app.register_blueprint(door.blueprint)
