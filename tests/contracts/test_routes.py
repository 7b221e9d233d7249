"""For every route and verb there is: who gets in, what a stranger finds, what reading costs and
changes. They walk the application's own map (`routes`), with a row of everything (`filling`)."""

import re
from collections.abc import Iterator, Mapping

import pytest
from flask import Flask
from redis import Redis
from sqlalchemy import Engine
from werkzeug.test import TestResponse

from tests.contracts.filling import CANARY, OWNED, Row, crowd
from tests.contracts.routes import (
    BODIES,
    HERE,
    IDS,
    KEYS,
    LOGIN,
    OPEN_DOORS,
    TEXTS,
    WHO_MAY,
    Doorway,
    behind_the_login,
    doorways,
    noting_what_is_asked,
)
from tests.factories import Tenant
from tests.views.conftest import Visitor
from tests.views.counting import count_statements
from webapp.extensions import limiter
from webapp.models.user import Role
from webapp.views.access import DOORS, LARGEST_ID, PUBLIC_ENDPOINTS, is_door

WRITING = re.compile(r"^\s*(WITH\b.*\b)?(INSERT INTO|UPDATE|DELETE FROM)\b", re.DOTALL)


def test_every_route_needs_a_login_or_is_in_the_short_list(
    app: Flask, nobody: Visitor, ours: dict[str, Row]
) -> None:
    assert PUBLIC_ENDPOINTS == DOORS | LOGIN
    for each in behind_the_login(app, ours):
        response = nobody.client.open(each.address, method=each.method)
        assert response.status_code == 303, f"{each} is open to everybody"
        assert response.location.startswith("/login")


def test_at_every_door_for_programs_one_proves_oneself(
    app: Flask, nobody: Visitor, ours: dict[str, Row]
) -> None:
    for each in doorways(app, ours):
        if is_door(each.endpoint) and each.endpoint not in OPEN_DOORS:
            response = nobody.client.open(each.address, method=each.method)
            assert response.status_code == 401, (
                f"{each} lets in who proves nothing; if all may see it: {HERE}, OPEN_DOORS"
            )


def test_a_stranger_finds_no_row_of_ours(
    app: Flask, at_stranger: Visitor, ours: dict[str, Row]
) -> None:
    for each in behind_the_login(app, ours):
        if each.has_ids:
            response = at_stranger.client.open(each.address, method=each.method)
            assert response.status_code == 404, f"{each}: look it up with find_or_404"


def test_a_strangers_program_finds_no_row_of_ours(
    app: Flask, nobody: Visitor, ours: dict[str, Row], other_company: Tenant
) -> None:
    for each in doorways(app, ours):
        if is_door(each.endpoint) and each.has_ids:
            blueprint = each.endpoint.partition(".")[0]
            assert blueprint in KEYS, f"say in {HERE}, KEYS, how a company gets in at {each}"
            with app.app_context():
                headers = KEYS[blueprint](other_company)
            response = nobody.client.open(
                each.address, method=each.method, headers=headers, json=BODIES.get(each.endpoint)
            )
            assert response.status_code == 404, f"{each}: look it up with find_or_404"


def test_the_rows_that_strangers_do_not_find_are_there(
    app: Flask, at_admin: Visitor, ours: dict[str, Row]
) -> None:
    for each in behind_the_login(app, ours):
        if each.has_ids and each.method == "GET":
            assert _read(at_admin, each) == 200, each


@pytest.mark.parametrize("number", [LARGEST_ID + 1, 10**30, 0])
def test_an_id_beyond_all_rows_is_404(app: Flask, at_admin: Visitor, number: int) -> None:
    nowhere = {table.name: {"id": number} for table in OWNED} | {
        "companies": {"webhook_token": 0, "phone_token": 0}
    }
    for each in behind_the_login(app, nowhere):
        if each.has_ids:
            response = at_admin.client.open(each.address, method=each.method)
            assert response.status_code == 404, f"{each}: look it up with find_or_404"


def test_every_name_that_requests_are_asked_for_is_known(
    app: Flask, at_admin: Visitor, ours: dict[str, Row]
) -> None:
    """So that ids in bodies, selections and filters can be told from texts."""
    with noting_what_is_asked(app) as asked:
        for each in behind_the_login(app, ours):
            _send(at_admin, each, {})
            _send(at_admin, each, _fields(ours))
    unknown = {name: endpoint for endpoint, names in asked.items() for name in names}
    for name in (*IDS, *TEXTS):
        unknown.pop(name, None)
    assert not unknown, f"say in {HERE} which are ids of rows (IDS) and which are not (TEXTS)"


def test_ids_of_ours_in_a_strangers_bodies_selections_and_filters_are_404(
    app: Flask, at_stranger: Visitor, ours: dict[str, Row], theirs: dict[str, Row]
) -> None:
    own = _fields(theirs)
    with noting_what_is_asked(app) as asked:
        for each in behind_the_login(app, theirs)[:-1]:
            assert _send(at_stranger, each, own).status_code != 404, f"{each} with ids of one's own"
            for name in asked.get(each.endpoint, set()) & set(IDS):
                foreign = own | {name: str(ours[IDS[name]]["id"])}
                assert _send(at_stranger, each, foreign).status_code == 404, (
                    f"{each} with our {name}"
                )
                nonsense = own | {name: str(LARGEST_ID + 1)}
                assert _send(at_stranger, each, nonsense).status_code == 404, (
                    f"{each} with a huge {name}"
                )


def test_a_stranger_sees_and_changes_nothing_of_ours_whatever_they_send(
    app: Flask,
    at_stranger: Visitor,
    owner_engine: Engine,
    ours: dict[str, Row],
    theirs: dict[str, Row],
) -> None:
    before = _everything_of(owner_engine, ours)
    for rows in (ours, theirs):
        for each in behind_the_login(app, rows)[:-1]:
            for fields in ({}, _fields(ours)):
                assert CANARY not in _send(at_stranger, each, fields).text, each
    assert _everything_of(owner_engine, ours) == before


@pytest.mark.parametrize("role", list(Role))
def test_each_role_may_what_it_may_and_nothing_else(
    app: Flask, request: pytest.FixtureRequest, ours: dict[str, Row], role: Role
) -> None:
    visitor: Visitor = request.getfixturevalue(f"at_{role.value}")
    for each in behind_the_login(app, ours):
        assert each.endpoint in WHO_MAY, f"say in {HERE}, WHO_MAY, who may use {each}"
        limiter.reset()
        status = visitor.client.open(each.address, method=each.method).status_code
        assert (status == 403) == (role not in WHO_MAY[each.endpoint]), f"{each}: {status}"


def test_no_entry_outlives_its_route(app: Flask, ours: dict[str, Row]) -> None:
    there = {each.endpoint for each in behind_the_login(app, ours)}
    assert set(WHO_MAY) <= there, f"take out of {HERE}: {set(WHO_MAY) - there}"


def test_reading_writes_nothing(
    app: Flask, at_admin: Visitor, ours: dict[str, Row], redis: Redis
) -> None:
    queued = set(redis.keys("rq:*"))
    for each in _readings(app, ours):
        for htmx in (False, True):
            with count_statements(app) as statements:
                at_admin.get(each.address, htmx=htmx)
            writing = [each for each in statements if WRITING.match(each)]
            assert not writing, f"{each} changes something: make it a POST. {writing}"
    assert set(redis.keys("rq:*")) == queued, "a GET has enqueued something"


def test_the_number_of_queries_does_not_grow_with_the_rows(
    app: Flask, at_admin: Visitor, owner_engine: Engine, company: Tenant, ours: dict[str, Row]
) -> None:
    few = _costs(app, at_admin, ours)
    crowd(owner_engine, company.id, ours, numbers=6)
    many = _costs(app, at_admin, ours)
    grown = {each: (few[each], many[each]) for each in few if many[each] > few[each]}
    assert not grown, f"load the rows' relations at once (joinedload): {grown}"


def _readings(app: Flask, rows: Mapping[str, Row]) -> Iterator[Doorway]:
    return (each for each in behind_the_login(app, rows) if each.method == "GET")


def _costs(app: Flask, visitor: Visitor, rows: Mapping[str, Row]) -> dict[str, int]:
    costs = {}
    for each in _readings(app, rows):
        with count_statements(app) as statements:
            assert _read(visitor, each) == 200, each
        costs[str(each)] = len(statements)
    return costs


def _fields(rows: Mapping[str, Row]) -> dict[str, str]:
    return TEXTS | {name: str(rows[table]["id"]) for name, table in IDS.items()}


def _read(visitor: Visitor, each: Doorway) -> int:
    """The status; what is a fragment only is asked for as htmx does."""
    status = visitor.get(each.address).status_code
    return visitor.get(each.address, htmx=True).status_code if status == 303 else status


def _send(visitor: Visitor, each: Doorway, fields: dict[str, str]) -> TestResponse:
    """The fields in the address, and for a change in the body too."""
    body = None if each.method == "GET" else fields
    return visitor.client.open(each.address, method=each.method, query_string=fields, data=body)


def _everything_of(owner_engine: Engine, rows: Mapping[str, Row]) -> dict[str, list[Row]]:
    company_id = rows["users"]["company_id"]
    with owner_engine.connect() as connection:
        return {
            table.name: [
                dict(row)
                for row in connection.execute(
                    table.select()
                    .where(table.c.company_id == company_id)
                    .order_by(*table.primary_key)
                ).mappings()
            ]
            for table in OWNED
        }
