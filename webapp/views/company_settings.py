"""What an admin says of the company and of its telephone."""

from flask import Blueprint, flash, request, url_for
from flask.typing import ResponseReturnValue

from webapp import clock
from webapp.application import vault
from webapp.extensions import db
from webapp.models.company import Company
from webapp.models.tenancy import require_company_id
from webapp.sync.onboarding import change_phone, describe_company
from webapp.views import htmx, reauthentication
from webapp.views.access import admins_only, require_person
from webapp.views.forms.settings import CompanyForm, PhoneForm
from webapp.views.pages import render_page
from webapp.views.words import gettext as _

blueprint = Blueprint("company_settings", __name__, url_prefix="/settings")


@blueprint.get("/company")
@admins_only
def company() -> ResponseReturnValue:
    row = _company()
    form = CompanyForm(data={"name": row.name, "time_zone": row.time_zone, "language": row.locale})
    return render_page("settings/company.html", form=form)


@blueprint.post("/company")
@admins_only
def save_company() -> ResponseReturnValue:
    form = CompanyForm(request.form)
    if not form.validate():
        return render_page("settings/company.html", form=form), 422
    changed = describe_company(
        db.session(),
        name=form.name.data or "",
        time_zone=form.time_zone.data or "",
        locale=str(form.language.data),
        user_id=require_person().id,
        now=clock.now(),
    )
    db.session.commit()
    flash(_("Saved.") if changed else _("Nothing was changed."), "success")
    return htmx.see_other(url_for(".company"))


@blueprint.get("/phone")
@admins_only
def phone() -> ResponseReturnValue:
    row = _company()
    form = PhoneForm(data={"unchecked": "yes" if row.takes_calls_unchecked else "no"})
    return render_page("settings/phone_form.html", form=form, has_key=bool(row.retell_api_key))


@blueprint.post("/phone")
@reauthentication.throttled
@admins_only
def save_phone() -> ResponseReturnValue:
    form = PhoneForm(request.form)
    if not form.validate() or not reauthentication.is_confirmed(form):
        has_key = bool(_company().retell_api_key)
        return render_page("settings/phone_form.html", form=form, has_key=has_key), 422
    is_changed = change_phone(
        db.session(),
        vault(),
        api_key=form.retell_key.data or None,
        takes_unchecked=form.unchecked.data == "yes",
        user_id=require_person().id,
        now=clock.now(),
    )
    db.session.commit()
    flash(_("Saved.") if is_changed else _("Nothing was changed."), "success")
    return htmx.see_other(url_for("settings.show"))


def _company() -> Company:
    return db.session.get_one(Company, require_company_id())
