"""What the reader wants to be mailed about, type by type; the inbox holds everything."""

from flask import Blueprint, abort, flash, request, url_for
from flask.typing import ResponseReturnValue
from sqlalchemy import select
from sqlalchemy.dialects.postgresql import insert

from webapp.application import settings
from webapp.extensions import db
from webapp.models.company import Company
from webapp.models.notification import NotificationType
from webapp.models.preference import MailPreference, MailWish
from webapp.models.tenancy import require_company_id
from webapp.notify.recipients import may_be_mailed
from webapp.notify.wording import TITLES
from webapp.views import htmx
from webapp.views.access import require_person
from webapp.views.channels import leaving_types
from webapp.views.pages import render_page
from webapp.views.wording import MAIL_WISHES
from webapp.views.words import gettext as _

blueprint = Blueprint("wishes", __name__, url_prefix="/profile/notifications")


@blueprint.get("")
def show() -> ResponseReturnValue:
    company = db.session.get_one(Company, require_company_id())
    return render_page(
        "profile/notifications.html",
        titles=TITLES,
        types=leaving_types(),
        wishes=_wishes(),
        choices=MAIL_WISHES,
        may_be_mailed=may_be_mailed(require_person().role, company.mails_staff),
        has_mail_server=settings().smtp_url is not None,
    )


@blueprint.post("")
def choose() -> ResponseReturnValue:
    for type_ in leaving_types():
        wish = request.form.get(type_.value, MailWish.AT_ONCE.value)
        if wish not in set(MailWish):
            abort(422)
        _keep(type_, MailWish(wish))
    db.session.commit()
    flash(_("Saved."), "success")
    return htmx.see_other(url_for(".show"))


def _wishes() -> dict[NotificationType, MailWish]:
    kept = db.session.scalars(
        select(MailPreference).where(
            MailPreference.company_id == require_company_id(),
            MailPreference.user_id == require_person().id,
        )
    )
    chosen = {preference.type: preference.wish for preference in kept}
    return {type_: chosen.get(type_, MailWish.AT_ONCE) for type_ in leaving_types()}


def _keep(type_: NotificationType, wish: MailWish) -> None:
    kept = insert(MailPreference).values(
        company_id=require_company_id(), user_id=require_person().id, type=type_, wish=wish
    )
    db.session.execute(
        kept.on_conflict_do_update(
            index_elements=["company_id", "user_id", "type"], set_={"wish": kept.excluded.wish}
        )
    )
