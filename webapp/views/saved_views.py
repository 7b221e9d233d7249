"""Saved views: filters of the appointment list under a name, each person's own, shown as tabs."""

from urllib.parse import parse_qsl, urlencode

from flask import Blueprint, abort, flash, request, url_for
from flask.typing import ResponseReturnValue
from sqlalchemy import select
from werkzeug.datastructures import MultiDict

from webapp import clock
from webapp.extensions import db
from webapp.models.base import fold
from webapp.models.saved_view import MOST_VIEWS, SavedView
from webapp.models.tenancy import require_company_id
from webapp.models.user import User
from webapp.views import htmx
from webapp.views.access import find_or_404, require_person
from webapp.views.appointment_list import parse_filters
from webapp.views.forms.appointments import ViewForm
from webapp.views.pages import render_page
from webapp.views.words import gettext as _

__all__ = ["MOST_VIEWS", "own_views"]

blueprint = Blueprint("saved_views", __name__, url_prefix="/saved-views")

LONGEST_QUERY = 2000


@blueprint.get("")
def index() -> ResponseReturnValue:
    """All of the reader's, to be renamed or removed."""
    return render_page("appointments/views.html", views=own_views())


@blueprint.post("")
def save() -> ResponseReturnValue:
    """Keep the filters of an address; what they don't know is dropped, a stranger's id is 404."""
    query = checked_query(request.form.get("query", "")[:LONGEST_QUERY])
    form = ViewForm(request.form)
    refusal = _objection(form)
    if refusal is not None:
        flash(refusal, "warning")
        return htmx.see_other(_address_of(query))
    name = form.name.data or ""
    view = SavedView(
        user_id=require_person().id,
        name=name,
        name_folded=fold(name),
        query=query,
        created_at=clock.now(),
    )
    db.session.add(view)
    db.session.commit()
    flash(_("View saved."), "success")
    return htmx.see_other(_address_of(query))


@blueprint.post("/<int:saved_view_id>/names")
def give_name(saved_view_id: int) -> ResponseReturnValue:
    view = _find(saved_view_id)
    form = ViewForm(request.form)
    refusal = _objection(form, besides=view)
    if refusal is not None:
        flash(refusal, "warning")
        return htmx.see_other(url_for(".index"))
    view.name = form.name.data or ""
    view.name_folded = fold(view.name)
    db.session.commit()
    flash(_("View renamed."), "success")
    return htmx.see_other(url_for(".index"))


@blueprint.post("/<int:saved_view_id>/removal")
def remove(saved_view_id: int) -> ResponseReturnValue:
    db.session.delete(_find(saved_view_id))
    db.session.commit()
    flash(_("View removed. The appointments are untouched."), "success")
    return htmx.see_other(url_for(".index"))


def own_views() -> list[SavedView]:
    """The reader's, by name."""
    query = select(SavedView).where(
        SavedView.company_id == require_company_id(), SavedView.user_id == require_person().id
    )
    return list(db.session.scalars(query.order_by(SavedView.name_folded)))


def checked_query(text: str) -> str:
    """The filters in an address, as this list writes them."""
    return urlencode(parse_filters(MultiDict(parse_qsl(text))).as_query)


def _objection(form: ViewForm, besides: SavedView | None = None) -> str | None:
    """Why this name can't be taken. Holds the person's row: two clicks at once are one view."""
    if not form.validate():
        return str(form.name.errors[0])
    person = require_person()
    db.session.get_one(User, (person.company_id, person.id), with_for_update=True)
    others = [view for view in own_views() if besides is None or view.id != besides.id]
    if any(view.name_folded == fold(form.name.data or "") for view in others):
        return _("You have a view of this name already.")
    if len(others) >= MOST_VIEWS:
        return _("You have %(most)s views, which is all there may be.", most=MOST_VIEWS)
    return None


def _find(saved_view_id: int) -> SavedView:
    """The reader's own; a colleague's is none of theirs."""
    view = find_or_404(SavedView, saved_view_id)
    return view if view.user_id == require_person().id else abort(404)


def _address_of(query: str) -> str:
    return f"{url_for('appointments.index')}?{query}"
