"""Users: invited and let in by link, their roles, barring, and passwords that were forgotten."""

import re
from collections.abc import Callable
from datetime import timedelta

import pytest
from flask import Flask
from sqlalchemy import Engine, text

from tests.factories import PASSWORD, Person, Tenant, make_person
from tests.views.conftest import Visitor
from tests.views.markup import by_id, find, said_in
from webapp import clock
from webapp.models.user import Role

PAGE = "/settings/users"
OWN = {"name": "Neu Hier", "new": "a brand new password", "repeated": "a brand new password"}
Make = Callable[..., Person]


def link_in(html: str) -> str:
    field = by_id(html, "access-link")
    assert field is not None, said_in(html)
    return field.attributes["value"].removeprefix("http://127.0.0.1:8000")


def invite(visitor: Visitor, email: str = "neu@example.org", role: str = "manager") -> str:
    answer = visitor.post(
        f"{PAGE}/invitations", {"email": email, "role": role, "current": PASSWORD}
    )
    assert answer.status_code == 201, said_in(answer.text)
    return link_in(answer.text)


def renewal_path(visitor: Visitor) -> str:
    """Where the one open invitation gets a new link."""
    [link] = [
        each.attributes["href"]
        for each in find(visitor.page(PAGE), "a")
        if each.attributes.get("href", "").endswith("/renewals")
    ]
    return link


def audited(owner_engine: Engine) -> list[str]:
    with owner_engine.connect() as connection:
        rows = connection.execute(text("SELECT action FROM audit_entries ORDER BY id"))
        return [row.action for row in rows if row.action != "logged_in"]


def test_somebody_is_invited_by_a_link_and_joins(
    app: Flask, at_admin: Visitor, nobody: Visitor, owner_engine: Engine
) -> None:
    link = invite(at_admin)
    assert link.split("/")[-1] not in at_admin.page(PAGE)
    assert "neu@example.org" in at_admin.page(PAGE)
    page = nobody.page(link)
    assert "Company sonnenschein invites you" in said_in(page)

    answer = nobody.post(link, {**OWN, "language": "de"})

    assert answer.status_code == 303
    assert "Übersicht" in nobody.page("/")
    assert nobody.get("/settings").status_code == 403
    assert nobody.get("/services/new").status_code == 200
    fresh = Visitor(app)
    login = {"email": "neu@example.org", "password": OWN["new"]}
    assert fresh.client.post("/login", data=login).status_code == 303
    assert audited(owner_engine) == ["invitation.created", "user.joined"]


def test_a_link_works_once(app: Flask, at_admin: Visitor, nobody: Visitor) -> None:
    link = invite(at_admin)
    assert nobody.post(link, {**OWN, "language": "de"}).status_code == 303
    second = Visitor(app)
    for answer in (second.get(link), second.post(link, {**OWN, "language": "de"})):
        assert answer.status_code == 404
        assert "This link is over" in answer.text


def test_a_link_expires(at_admin: Visitor, nobody: Visitor) -> None:
    link = invite(at_admin)
    clock.advance(timedelta(days=7, seconds=1))
    assert nobody.get(link).status_code == 404
    assert nobody.post(link, {**OWN, "language": "de"}).status_code == 404


def test_a_withdrawn_or_renewed_link_opens_nothing(
    at_admin: Visitor, nobody: Visitor, owner_engine: Engine
) -> None:
    link = invite(at_admin)
    path = renewal_path(at_admin)
    assert find(at_admin.page(path), "form", method="post", action=path)
    renewed = link_in(at_admin.post(path, {"current": PASSWORD}).text)
    assert nobody.get(link).status_code == 404
    assert nobody.get(renewed).status_code == 200
    [form] = [
        each
        for each in find(at_admin.page(PAGE), "form", method="post")
        if each.attributes["action"].endswith("/withdrawals")
    ]
    at_admin.post(form.attributes["action"])
    assert nobody.get(renewed).status_code == 404
    assert "Open invitations" not in at_admin.page(PAGE)


def test_a_new_link_needs_the_password_as_the_first_did(
    at_admin: Visitor, nobody: Visitor, owner_engine: Engine
) -> None:
    """At an open desk anybody could else let themselves in as what was offered to somebody."""
    link = invite(at_admin, role="admin")
    for typed in ({}, {"current": "wrong password"}):
        answer = at_admin.post(renewal_path(at_admin), typed)
        assert answer.status_code == 422
        assert not find(answer.text, "input", id="access-link")
    assert nobody.get(link).status_code == 200, "the one that is out there still stands"
    assert audited(owner_engine) == ["invitation.created", "reauthentication_failed"]


def test_passwords_are_not_guessed_by_renewing(app: Flask, at_admin: Visitor) -> None:
    allowed = app.extensions["settings"].login_attempts_per_minute
    invite(at_admin)
    path = renewal_path(at_admin)
    codes = [at_admin.post(path, {"current": "wrong"}).status_code for _ in range(allowed)]
    assert codes == [422] * (allowed - 1) + [429], "inviting took one of the tries"


def test_a_withdrawn_invitation_stays_withdrawn(
    at_admin: Visitor, nobody: Visitor, owner_engine: Engine
) -> None:
    """Another admin's page may still show it."""
    invite(at_admin, role="admin")
    path = renewal_path(at_admin)
    at_admin.post(path.replace("/renewals", "/withdrawals"))
    answer = at_admin.post(path, {"current": PASSWORD})
    assert answer.status_code == 303
    assert "over already" in at_admin.page(PAGE)
    assert "Open invitations" not in at_admin.page(PAGE)
    assert audited(owner_engine) == ["invitation.created", "invitation.withdrawn"]


def test_an_invitation_is_not_renewed_for_somebody_who_logs_in_by_now(
    at_admin: Visitor, make: Make, other_company: Tenant
) -> None:
    invite(at_admin)
    make(make_person, other_company, email="neu@example.org")
    assert at_admin.post(renewal_path(at_admin), {"current": PASSWORD}).status_code == 303
    assert "logs in with this e-mail already" in at_admin.page(PAGE)


def test_only_the_links_hash_is_stored(at_admin: Visitor, owner_engine: Engine) -> None:
    secret = invite(at_admin).split("/")[-1]
    with owner_engine.connect() as connection:
        rows = str(list(connection.execute(text("SELECT * FROM access_links")).mappings()))
    assert secret not in rows


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"email": "nobody"}, "email"),
        ({"email": ""}, "email"),
        ({"role": "owner"}, "role"),
        ({"current": "wrong password"}, "current"),
    ],
)
def test_what_is_wrong_is_said_beside_its_field_and_the_rest_is_kept(
    at_admin: Visitor, owner_engine: Engine, change: dict[str, str], field: str
) -> None:
    form = {"email": "neu@example.org", "role": "staff", "current": PASSWORD, **change}
    answer = at_admin.post(f"{PAGE}/invitations", form)
    assert answer.status_code == 422
    assert find(answer.text, "div", **{"class": "field-error"})
    if field != "email":
        assert find(answer.text, "input", name="email", value="neu@example.org")
    assert "invitation.created" not in audited(owner_engine)


def test_who_logs_in_anywhere_cannot_be_invited(at_admin: Visitor, stranger: Person) -> None:
    form = {"email": stranger.email, "role": "staff", "current": PASSWORD}
    answer = at_admin.post(f"{PAGE}/invitations", form)
    assert answer.status_code == 422
    assert "logs in with this e-mail already" in answer.text


@pytest.mark.parametrize(
    "change", [{"repeated": "another one, longer"}, {"new": "short", "repeated": "short"}]
)
def test_a_bad_password_does_not_use_the_invitation_up(
    at_admin: Visitor, nobody: Visitor, change: dict[str, str]
) -> None:
    link = invite(at_admin)
    answer = nobody.post(link, {**OWN, "language": "de", **change})
    assert answer.status_code == 422
    assert find(answer.text, "input", name="name", value="Neu Hier")
    assert nobody.post(link, {**OWN, "language": "de"}).status_code == 303


def test_a_role_is_changed_once_the_password_is_confirmed(
    app: Flask, at_admin: Visitor, at_manager: Visitor, manager: Person, owner_engine: Engine
) -> None:
    path = f"{PAGE}/{manager.id}"
    assert at_admin.post(f"{path}/roles", {"role": "staff", "current": "no"}).status_code == 422
    assert at_manager.get("/services/new").status_code == 200
    answer = at_admin.post(f"{path}/roles", {"role": "staff", "current": PASSWORD})
    assert answer.status_code == 303
    assert at_manager.get("/services/new").status_code == 403
    assert "user.role_changed" in audited(owner_engine)


def test_nobody_changes_or_bars_themselves(at_admin: Visitor, admin: Person) -> None:
    path = f"{PAGE}/{admin.id}"
    answer = at_admin.post(f"{path}/roles", {"role": "staff", "current": PASSWORD})
    assert answer.status_code == 422
    at_admin.post(f"{path}/deactivations")
    assert "Nobody can deactivate themselves" in at_admin.page(path)


def test_the_last_admin_stays(
    app: Flask, at_admin: Visitor, admin: Person, make: Make, company: Tenant
) -> None:
    """Two admins at once: whoever is second would leave the company without one."""
    other = make(make_person, company, Role.ADMIN)
    at_other = Visitor(app)
    at_other.log_in(other)
    at_admin.post(f"{PAGE}/{other.id}/roles", {"role": "staff", "current": PASSWORD})
    from webapp.extensions import db
    from webapp.models.tenancy import as_company
    from webapp.models.user import User
    from webapp.sync.people import LastAdmin, bar, change_role

    with app.app_context(), as_company(company.id):
        last = db.session.get_one(User, (company.id, admin.id))
        with pytest.raises(LastAdmin):
            bar(db.session(), last, user_id=other.id, now=clock.now())
        with pytest.raises(LastAdmin):
            change_role(db.session(), last, Role.STAFF, user_id=other.id, now=clock.now())


def test_who_is_barred_is_out_at_once_and_can_come_back(
    app: Flask, at_admin: Visitor, at_manager: Visitor, manager: Person, owner_engine: Engine
) -> None:
    path = f"{PAGE}/{manager.id}"
    elsewhere = Visitor(app)
    elsewhere.log_in(manager)
    assert "can't log in" in at_admin.page(f"{path}/deactivations").replace("&#39;", "'")
    at_admin.post(f"{path}/deactivations")
    assert at_manager.get("/").status_code == 303
    assert Visitor(app).log_in(manager).status_code == 422
    at_admin.post(f"{path}/reactivations")
    assert elsewhere.get("/").status_code == 303, "a session that slept meanwhile stays over"
    assert Visitor(app).log_in(manager).status_code == 303
    assert {"user.deactivated", "user.reactivated"} <= set(audited(owner_engine))


def test_an_admin_makes_a_link_for_a_new_password(
    app: Flask, at_admin: Visitor, at_manager: Visitor, manager: Person, owner_engine: Engine
) -> None:
    path = f"{PAGE}/{manager.id}/passwords"
    assert at_admin.post(path, {"current": "wrong"}).status_code == 422
    answer = at_admin.post(path, {"current": PASSWORD})
    assert answer.status_code == 201
    link = link_in(answer.text)
    visitor = Visitor(app)
    bad = visitor.post(link, {"new": "short", "repeated": "short"})
    assert bad.status_code == 422
    chosen = {"new": OWN["new"], "repeated": OWN["repeated"]}
    assert visitor.post(link, chosen).status_code == 303
    assert visitor.get("/").status_code == 200
    assert at_manager.get("/").status_code == 303, "their other sessions have ended"
    assert Visitor(app).log_in(manager, OWN["new"]).status_code == 303
    assert Visitor(app).post(link, chosen).status_code == 404
    assert {"password_link.created", "password_reset"} <= set(audited(owner_engine))


def test_a_barred_persons_link_is_over(at_admin: Visitor, nobody: Visitor, manager: Person) -> None:
    link = link_in(at_admin.post(f"{PAGE}/{manager.id}/passwords", {"current": PASSWORD}).text)
    at_admin.post(f"{PAGE}/{manager.id}/deactivations")
    assert nobody.get(link).status_code == 404


def test_an_invitation_is_no_password_link(at_admin: Visitor, nobody: Visitor) -> None:
    secret = invite(at_admin).split("/")[-1]
    assert nobody.get(f"/passwords/{secret}").status_code == 404


def test_without_a_mail_server_the_forgetful_are_told_whom_to_ask(nobody: Visitor) -> None:
    assert "Forgotten password?" in nobody.page("/login")
    assert "sends no mail" in nobody.page("/passwords")
    assert nobody.post("/passwords", {"email": "a@example.org"}).status_code == 422


def test_a_stranger_sees_none_of_our_people(
    at_stranger: Visitor, manager: Person, at_admin: Visitor
) -> None:
    invite(at_admin)
    page = at_stranger.page(PAGE)
    assert manager.email not in page
    assert "neu@example.org" not in page
    assert re.search(r"@blau\.test", page)
