"""The inbox: what the reader was told, unread first, straight to the item."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from urllib.parse import urlencode

from flask import Blueprint, Flask, abort, flash, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import LazyString
from flask_babel import lazy_gettext as _l
from sqlalchemy import ColumnElement, Select, select, update

from webapp import clock
from webapp.extensions import db
from webapp.models.appointment import Origin
from webapp.models.chat_channel import ChatChannel
from webapp.models.delivery import DeliveryStatus
from webapp.models.notification import MANY, Notification, NotificationType
from webapp.models.tenancy import require_company_id
from webapp.models.user import User
from webapp.views import htmx
from webapp.views.access import find_or_404, require_person
from webapp.views.pages import count_unread, render_page
from webapp.views.paging import PAGE_SIZE, Cursor, behind, cut_page, parse_cursor
from webapp.views.wording import NOTIFICATION_PAGES
from webapp.views.words import gettext as _

blueprint = Blueprint("notifications", __name__, url_prefix="/notifications")

SHOWS: dict[str, LazyString] = {
    "all": _l("All"),
    "unread": _l("Unread"),
    "open": _l("Still open"),
    "over": _l("Done"),
}
_IS_UNREAD = Notification.read_at.is_(None) & Notification.closed_at.is_(None)
_CONDITIONS: dict[str, ColumnElement[bool]] = {
    "unread": _IS_UNREAD,
    "open": Notification.closed_at.is_(None),
    "over": Notification.closed_at.is_not(None),
}


@dataclass(frozen=True)
class InboxFilters:
    """What an address asks for; the first of SHOWS and no type filter nothing."""

    show: str = "all"
    type: NotificationType | None = None
    cursor: Cursor | None = None

    @property
    def is_narrowed(self) -> bool:
        return self.show != "all" or self.type is not None

    @property
    def as_query(self) -> dict[str, str]:
        """The filters as an address has them, without the page."""
        show = {"show": self.show} if self.show != "all" else {}
        return show | ({"type": self.type.value} if self.type else {})


def parse_inbox_filters(args: Mapping[str, str]) -> InboxFilters:
    """Read an address; what makes no sense filters nothing."""
    show, type_ = args.get("show", ""), args.get("type", "")
    return InboxFilters(
        show=show if show in SHOWS else "all",
        type=NotificationType(type_) if type_ in set(NotificationType) else None,
        cursor=parse_cursor(args.get("after")),
    )


@blueprint.get("")
def index() -> ResponseReturnValue:
    filters = parse_inbox_filters(request.args)
    page = cut_page(_fetch(filters), _cursor_of)
    return render_page(
        "notifications/index.html",
        page=page,
        recipients=_recipients(page.rows),
        filters=filters,
        shows=SHOWS,
        types=list(NotificationType),
    )


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
        return _render_one(item)
    return htmx.see_other(_back())


@blueprint.post("/<int:notification_id>/unreading")
def unread(notification_id: int) -> ResponseReturnValue:
    """Back among the unread: somebody wants to come back to it."""
    item = _find(notification_id)
    item.read_at = None
    db.session.commit()
    if htmx.is_htmx():
        return _render_one(item)
    return htmx.see_other(_back())


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
    return htmx.see_other(_back())


def _fetch(filters: InboxFilters) -> list[Notification]:
    """One row more than a page: the unread first, then the others, the newest of each on top.

    Two sorted reads instead of one sort over both: each stops after a page.
    """
    rows: list[Notification] = []
    for rank in range(filters.cursor.rank if filters.cursor else 1, -1, -1):
        left = PAGE_SIZE + 1 - len(rows)
        rows += db.session.scalars(_ranked(filters, rank).limit(left))
        if len(rows) > PAGE_SIZE:
            break
    return rows


def _ranked(filters: InboxFilters, rank: int) -> Select[Notification]:
    """The unread (rank 1) or the others (rank 0), behind the cursor."""
    keys = (Notification.last_at, Notification.id)
    query = select(Notification).where(*_own(), _IS_UNREAD if rank else ~_IS_UNREAD)
    if filters.show in _CONDITIONS:
        query = query.where(_CONDITIONS[filters.show])
    if filters.type is not None:
        query = query.where(Notification.type == filters.type)
    if filters.cursor is not None and filters.cursor.rank == rank:
        query = query.where(behind(keys, filters.cursor, descending=True))
    return query.order_by(*(key.desc() for key in keys))


def _back() -> str:
    """To the inbox as it was filtered: the form says how."""
    address: str = url_for(".index")
    kept = urlencode(parse_inbox_filters(request.form).as_query)
    return f"{address}?{kept}" if kept else address


def _own() -> tuple[ColumnElement[bool], ColumnElement[bool]]:
    return (
        Notification.company_id == require_company_id(),
        Notification.user_id == require_person().id,
    )


def _render_one(item: Notification) -> str:
    return render_template(
        "notifications/_read.html",
        item=item,
        recipients=_recipients([item]),
        unread=count_unread(),
    )


def _recipients(rows: Sequence[Notification]) -> dict[int, str]:
    """To whom a message could not be sent, by the id of the item that tells it; the mail server's
    own trouble is nobody's, and a channel may be gone."""
    failed = [each for each in rows if each.type is NotificationType.CHANNEL_FAILED]
    return _names(User, "user_id", failed) | _names(ChatChannel, "channel_id", failed)


def _names(
    model: type[User] | type[ChatChannel], parameter: str, items: Sequence[Notification]
) -> dict[int, str]:
    wanted = {item.id: item.parameters.get(parameter) for item in items}
    ids = {each for each in wanted.values() if each is not None}
    if not ids:
        return {}
    query = select(model.id, model.name).where(
        model.company_id == require_company_id(), model.id.in_(ids)
    )
    names: dict[int, str] = {row.id: row.name for row in db.session.execute(query)}
    return {item_id: names[each] for item_id, each in wanted.items() if each in names}


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
    if item.subject == MANY and item.type is NotificationType.BOOKING_ADOPTED:
        return url_for("appointments.index", origin=Origin.CALCOM.value)
    if item.subject == MANY:
        return url_for("reviews.index", type=item.type.value)
    if item.type is NotificationType.CHANNEL_FAILED and require_person().is_admin:
        return url_for("channels.index")
    if item.type is NotificationType.DELIVERY_FAILED:
        return url_for("deliveries.index", outcome=DeliveryStatus.FAILED.value)
    return url_for(NOTIFICATION_PAGES.get(item.type, "overview.show"))


def _cursor_of(item: Notification) -> Cursor:
    is_unread = item.read_at is None and item.closed_at is None
    return Cursor(int(is_unread), item.last_at, item.id)
