"""The inbox: what the reader was told, unread first, straight to the item."""

from flask import Blueprint, Flask, abort, flash, render_template, request, url_for
from flask.typing import ResponseReturnValue
from sqlalchemy import ColumnElement, case, select, update

from webapp import clock
from webapp.extensions import db
from webapp.models.notification import MANY, Notification, NotificationType
from webapp.models.tenancy import require_company_id
from webapp.views import htmx
from webapp.views.access import find_or_404, require_person
from webapp.views.pages import count_unread, render_page
from webapp.views.paging import Cursor, behind, fetch_page, parse_cursor
from webapp.views.wording import NOTIFICATION_PAGES
from webapp.views.words import gettext as _

blueprint = Blueprint("notifications", __name__, url_prefix="/notifications")

_IS_UNREAD = Notification.read_at.is_(None) & Notification.closed_at.is_(None)
_RANK = case((_IS_UNREAD, 1), else_=0)


@blueprint.get("")
def index() -> ResponseReturnValue:
    keys = (_RANK, Notification.last_at, Notification.id)
    query = (
        select(Notification)
        .where(*_own())
        .order_by(_RANK.desc(), Notification.last_at.desc(), Notification.id.desc())
    )
    cursor = parse_cursor(request.args.get("after"))
    if cursor is not None:
        query = query.where(behind(keys, cursor, descending=True))
    return render_page("notifications/index.html", page=fetch_page(db.session(), query, _cursor_of))


@blueprint.get("/badge")
def badge() -> ResponseReturnValue:
    """The unread badge, where no other poll brings it along."""
    return render_template("components/_badge.html", unread=count_unread(), polls=True)


@blueprint.get("/<int:notification_id>")
def show(notification_id: int) -> ResponseReturnValue:
    """Where a link in a mail or chat message leads: straight to what it is about."""
    return htmx.see_other(address_of(_find(notification_id, of_channels=True)))


@blueprint.post("/<int:notification_id>/reading")
def read(notification_id: int) -> ResponseReturnValue:
    item = _find(notification_id)
    item.read_at = item.read_at or clock.now()
    db.session.commit()
    if "open" in request.form:
        return htmx.see_other(address_of(item))
    if htmx.is_htmx():
        return render_template("notifications/_read.html", item=item, unread=count_unread())
    return htmx.see_other(url_for(".index"))


@blueprint.post("/readings")
def read_all() -> ResponseReturnValue:
    db.session.execute(
        update(Notification)
        .where(*_own(), Notification.read_at.is_(None))
        .values(read_at=clock.now())
        .execution_options(synchronize_session=False)
    )
    db.session.commit()
    flash(_("All marked as read."), "success")
    return htmx.see_other(url_for(".index"))


def _own() -> tuple[ColumnElement[bool], ColumnElement[bool]]:
    return (
        Notification.company_id == require_company_id(),
        Notification.user_id == require_person().id,
    )


def _find(notification_id: int, *, of_channels: bool = False) -> Notification:
    """The reader's own item; a colleague's is none of theirs, a chat channel's is everybody's."""
    item = find_or_404(Notification, notification_id)
    is_own = item.user_id == require_person().id
    return item if is_own or (of_channels and item.channel_id is not None) else abort(404)


def register(app: Flask) -> None:
    app.add_template_filter(address_of)


def address_of(item: Notification) -> str:
    """Where what it tells of can be seen."""
    if item.appointment_id is not None:
        return url_for("appointments.show", appointment_id=item.appointment_id)
    bulk_id = item.parameters.get("bulk_id")
    if bulk_id is not None:
        return url_for("bulk_actions.show", bulk_action_id=bulk_id)
    if item.subject == MANY:
        return url_for("reviews.index", type=item.type.value)
    if item.type is NotificationType.CHANNEL_FAILED and require_person().is_admin:
        return url_for("channels.index")
    return url_for(NOTIFICATION_PAGES.get(item.type, "overview.show"))


def _cursor_of(item: Notification) -> Cursor:
    is_unread = item.read_at is None and item.closed_at is None
    return Cursor(int(is_unread), item.last_at, item.id)
