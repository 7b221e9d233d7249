"""The company's settings at a glance: who we are to Cal.com. Of a secret only its end is shown."""

from typing import NamedTuple

from flask import Blueprint, url_for
from flask.typing import ResponseReturnValue
from flask_babel import LazyString
from flask_babel import lazy_gettext as _l

from webapp.application import settings, vault
from webapp.calcom.breaker import Circuit
from webapp.extensions import db
from webapp.jobs.traffic import read_traffic
from webapp.models.company import Company, Secret
from webapp.models.delivery import first_received_at
from webapp.models.tenancy import require_company_id
from webapp.models.vault import VaultError, fingerprint, last_four
from webapp.sync.pausing import waiting_changes
from webapp.views.access import admins_only
from webapp.views.pages import render_page
from webapp.views.wording import Badge

blueprint = Blueprint("settings", __name__, url_prefix="/settings")

SHOWN: dict[Secret, LazyString] = {
    Secret.API_KEY: _l("Cal.com API key"),
    Secret.WEBHOOK_SECRET: _l("Webhook secret"),
    Secret.WEBHOOK_SECRET_PREVIOUS: _l("Previous webhook secret"),
}


PHONE_KEY = _l("Retell API key")
CIRCUITS: dict[Circuit, Badge] = {
    Circuit.CLOSED: Badge(_l("Cal.com answers"), "green", "check"),
    Circuit.OPEN: Badge(_l("Held back"), "yellow", "clock"),
    Circuit.TRIAL: Badge(_l("Being tried"), "yellow", "refresh"),
}
"""What a breaker's state means to somebody who has never heard of breakers."""


class SecretView(NamedTuple):
    """What may be shown of a secret; `is_readable` is False where the key to open it is gone."""

    name: LazyString
    is_set: bool
    is_readable: bool
    ending: str
    fingerprint: str


@blueprint.get("")
@admins_only
def show() -> ResponseReturnValue:
    traffic = read_traffic()
    company = db.session.get_one(Company, require_company_id())
    path = url_for("calcom_webhook.receive", token=company.webhook_token)
    return render_page(
        "settings/show.html",
        company=company,
        secrets=[_view(company, which, name) for which, name in SHOWN.items()],
        webhook_address=settings().public_url + path,
        phone_key=_view(company, Secret.RETELL_KEY, PHONE_KEY),
        phone_address=settings().public_url
        + url_for("phone.receive", phone_token=company.phone_token),
        traffic=traffic,
        circuits=CIRCUITS,
        waiting=waiting_changes(db.session()),
        proven_at=company.webhook_registered_at
        and first_received_at(db.session(), company.webhook_registered_at),
    )


def _view(company: Company, which: Secret, name: LazyString) -> SecretView:
    try:
        secret = company.secret(which, vault())
    except VaultError:
        return SecretView(name, True, False, "", "")
    if secret is None:
        return SecretView(name, False, True, "", "")
    return SecretView(name, True, True, last_four(secret), fingerprint(secret))
