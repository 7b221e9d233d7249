"""Cal.com's API v2: the blueprint, and in front of it the gate (key, limit, faults, ledger)."""

from flask import Blueprint, Flask

from webapp.sandbox.api import bookings, event_types, gate, people, slots, webhooks


def register_api(app: Flask) -> None:
    api = Blueprint("v2", __name__, url_prefix="/v2")
    for family in (people, bookings, event_types, slots, webhooks):
        family.add_routes(api)
    gate.guard(app)
    app.register_blueprint(api)
