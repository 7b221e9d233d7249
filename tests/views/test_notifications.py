"""The inbox: unread first, folded, straight to the item, marked one by one or all at once."""

from collections.abc import Callable
from datetime import timedelta
from html import unescape

from sqlalchemy import Engine, text

from tests.factories import Person, Tenant, make_appointment, make_notification
from tests.views.conftest import Visitor
from tests.views.markup import by_id, find, read, words
from webapp import clock
from webapp.models.notification import NotificationType
from webapp.views.paging import PAGE_SIZE

Make = Callable[..., int]


def _items(html: str) -> list[int]:
    return [
        int(each.attributes["id"].removeprefix("notification-"))
        for each in read(html)
        if each.attributes.get("id", "").startswith("notification-")
    ]


def test_unread_ones_stand_first_the_newest_on_top(
    at_staff: Visitor, staff: Person, make: Make
) -> None:
    def told(hours: int, **columns: object) -> int:
        return make(
            make_notification, staff, last_at=clock.now() - timedelta(hours=hours), **columns
        )

    read_one, old, new = told(1, read_at=clock.now()), told(9), told(3)
    closed = told(2, closed_at=clock.now())
    page = at_staff.page("/notifications")
    assert _items(page) == [new, old, read_one, closed]
    assert "2 unread" in words(page)


def test_a_repeat_is_counted_and_a_closed_one_marked_done(
    at_staff: Visitor, staff: Person, make: Make
) -> None:
    make(make_notification, staff, repeat_count=4, closed_at=clock.now())
    page = words(at_staff.page("/notifications"))
    assert "4 times" in page
    assert "Done" in page


def test_opening_an_item_marks_it_read_and_leads_to_the_appointment(
    at_staff: Visitor, staff: Person, make: Make, company: Tenant
) -> None:
    appointment_id = make(make_appointment, company)
    item = make(make_notification, staff, appointment_id)
    response = at_staff.post(f"/notifications/{item}/reading", {"open": "1"})
    assert response.location == f"/appointments/{appointment_id}"
    assert "unread-count" not in at_staff.page("/notifications")


def test_marking_one_read_under_htmx_answers_with_the_item_and_the_badge(
    at_staff: Visitor, staff: Person, make: Make
) -> None:
    item, _other = make(make_notification, staff), make(make_notification, staff)
    answer = at_staff.post(f"/notifications/{item}/reading", htmx=True).text
    assert _items(answer) == [item]
    badge = by_id(answer, "unread")
    assert badge is not None
    assert "1 unread" in badge.text


def test_marking_all_read_touches_only_ones_own(
    at_staff: Visitor, staff: Person, admin: Person, make: Make, owner_engine: Engine
) -> None:
    make(make_notification, staff)
    make(make_notification, staff)
    make(make_notification, admin)
    assert at_staff.post("/notifications/readings").location == "/notifications"
    query = text("SELECT count(*) FROM notifications WHERE read_at IS NULL")
    with owner_engine.connect() as connection:
        assert connection.execute(query).scalar_one() == 1


def test_an_empty_inbox_says_what_will_come(at_staff: Visitor) -> None:
    assert "Nothing to tell" in at_staff.page("/notifications")


def test_the_inbox_is_narrowed_by_its_address(at_staff: Visitor, staff: Person, make: Make) -> None:
    now = clock.now()
    unread = make(make_notification, staff)
    read_one = make(make_notification, staff, read_at=now)
    over = make(make_notification, staff, closed_at=now, last_at=now - timedelta(hours=1))
    other = make(
        make_notification,
        staff,
        type=NotificationType.BULK_FINISHED,
        read_at=now,
        last_at=now - timedelta(hours=2),
    )
    for address, shown in (
        ("", [unread, read_one, over, other]),
        ("?show=unread", [unread]),
        ("?show=open", [unread, read_one, other]),
        ("?show=over", [over]),
        ("?type=bulk_finished", [other]),
        ("?show=unread&type=bulk_finished", []),
        ("?show=nonsense&type=nonsense", [unread, read_one, over, other]),
    ):
        assert _items(at_staff.page(f"/notifications{address}")) == shown, address


def test_an_item_becomes_unread_again(
    at_staff: Visitor, staff: Person, make: Make, owner_engine: Engine
) -> None:
    item = make(make_notification, staff, read_at=clock.now())
    answer = at_staff.post(f"/notifications/{item}/unreading", htmx=True)
    assert "Mark as read" in answer.text
    assert "1 unread" in words(answer.text)
    response = at_staff.post(f"/notifications/{item}/reading", {"show": "open"})
    assert response.location == "/notifications?show=open"
    assert "Mark as unread" in at_staff.page("/notifications")


def test_a_colleagues_item_stays_as_it_is(at_staff: Visitor, manager: Person, make: Make) -> None:
    item = make(make_notification, manager, read_at=clock.now())
    assert at_staff.post(f"/notifications/{item}/unreading").status_code == 404


def test_pages_follow_one_another_through_unread_and_read(
    at_staff: Visitor, staff: Person, make: Make
) -> None:
    now = clock.now()
    made = [
        make(
            make_notification,
            staff,
            last_at=now - timedelta(minutes=number),
            read_at=now if number % 2 else None,
        )
        for number in range(PAGE_SIZE + 10)
    ]
    first = at_staff.page("/notifications")
    following = unescape(find(first, "a", rel="next")[0].attributes["href"])
    found = _items(first) + _items(at_staff.page(following))
    assert found == made[::2] + made[1::2]
