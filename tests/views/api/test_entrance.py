"""Who may come in at `/api/v1`: tokens, scopes, companies, limits; and how it says no."""

import re
from collections.abc import Callable
from datetime import timedelta

import pytest
from flask import Flask
from sqlalchemy import Engine, text
from structlog.testing import capture_logs

from tests.factories import Person, Tenant, Token, make_appointment, make_token
from tests.views.api.conftest import System, booking
from tests.views.conftest import Visitor
from webapp import clock
from webapp.extensions import limiter
from webapp.models.api_token import Scope
from webapp.models.tenancy import as_company
from webapp.sync.tokens import revoke_token
from webapp.views.api.operations import OPERATIONS, Operation

Make = Callable[..., int]


@pytest.fixture
def appointment_id(make: Make, company: Tenant) -> int:
    return make(make_appointment, company)


def _ask(system: System, operation: Operation, appointment_id: int, tenant: Tenant) -> int:
    path = operation.rule.replace("<int:appointment_id>", str(appointment_id))
    bodies = {
        "create_appointment": booking(tenant),
        "reschedule": {"starts_at": "2031-01-01T10:00:00Z"},
        "cancel": {"reason": "Ill"},
    }
    if operation.method == "GET":
        return system.get(path).status_code
    return system.post(path, bodies[operation.name]).status_code


def test_every_operation_is_served_and_nothing_else_is(app: Flask) -> None:
    served = {
        (rule.rule.removeprefix("/api/v1"), method)
        for rule in app.url_map.iter_rules()
        if rule.endpoint.startswith("api_v1.")
        for method in (rule.methods or set()) - {"HEAD"}
    }
    assert served == {(each.rule, each.method) for each in OPERATIONS}
    assert len(OPERATIONS) == 8


def test_whoever_has_all_scopes_may_do_everything(
    partner: System, company: Tenant, appointment_id: int
) -> None:
    for operation in OPERATIONS:
        assert _ask(partner, operation, appointment_id, company) == operation.status, operation.name


def test_a_token_does_what_its_scopes_say(
    counter: System, reader: System, company: Tenant, appointment_id: int
) -> None:
    for system, scope in ((counter, Scope.STATS_READ), (reader, Scope.APPOINTMENTS_READ)):
        for operation in OPERATIONS:
            wanted = operation.status if operation.scope is scope else 403
            got = _ask(system, operation, appointment_id, company)
            assert got == wanted, (scope, operation.name)


def test_a_refused_scope_is_named(reader: System, company: Tenant) -> None:
    response = reader.post("/appointments", booking(company))
    assert response.get_json()["code"] == "insufficient_scope"
    assert 'scope="appointments:write"' in response.headers["WWW-Authenticate"]


def test_whoever_may_write_may_read_too(app: Flask, make: Make, company: Tenant) -> None:
    writer = System(app, make(make_token, company, Scope.APPOINTMENTS_WRITE))  # type: ignore[arg-type]
    assert writer.get("/appointments").status_code == 200
    assert writer.get("/stats").status_code == 403


def test_a_stranger_finds_nothing_of_ours(
    foreigner: System, company: Tenant, other_company: Tenant, appointment_id: int
) -> None:
    for operation in OPERATIONS:
        if "<int:" in operation.rule:
            assert _ask(foreigner, operation, appointment_id, company) == 404, operation.name
    assert foreigner.read("/appointments")["data"] == []
    assert [each["id"] for each in foreigner.read("/services")["data"]] == [
        other_company.service_id
    ]
    assert foreigner.read("/stats")["total"] == 0


@pytest.mark.parametrize("field", ["service_id", "customer_id"])
def test_a_strangers_ids_in_filters_are_404(foreigner: System, company: Tenant, field: str) -> None:
    row_id = getattr(company, field)
    assert foreigner.get(f"/appointments?{field}={row_id}").status_code == 404


def test_a_strangers_ids_in_bodies_are_404(
    foreigner: System, company: Tenant, other_company: Tenant
) -> None:
    theirs = booking(other_company, service_id=company.service_id)
    assert foreigner.post("/appointments", theirs).status_code == 404
    theirs = booking(other_company, customer={"id": company.customer_id})
    assert foreigner.post("/appointments", theirs).status_code == 404


def test_an_id_beyond_all_rows_is_404(partner: System) -> None:
    for number in (0, 2**63, 10**30):
        assert partner.get(f"/appointments/{number}").status_code == 404
        assert partner.get(f"/appointments/{number}/sync").status_code == 404
        body = {"reason": "Ill"}
        assert partner.post(f"/appointments/{number}/cancellations", body).status_code == 404


@pytest.mark.parametrize(
    "header",
    [
        "",
        "Bearer",
        "Bearer ",
        "Bearer ls_wrong",
        f"Bearer {'x' * 5000}",
        "Bearer ls_ä",
        "Basic YTpi",
        "Token ls_wrong",
        "Bearer ls_a b",
    ],
)
def test_what_is_no_token_is_401(app: Flask, company: Tenant, header: str) -> None:
    response = app.test_client().get("/api/v1/stats", headers={"Authorization": header})
    assert response.status_code == 401
    assert response.mimetype == "application/problem+json"
    assert response.get_json()["code"] == "unauthenticated"
    assert response.headers["WWW-Authenticate"].startswith('Bearer realm="Lockstep"')


def test_a_revoked_token_opens_nothing_from_then_on(
    app: Flask, partner: System, token: Token
) -> None:
    assert partner.get("/stats").status_code == 200
    with app.app_context(), as_company(token.company_id):
        from webapp.extensions import db
        from webapp.models.audit import Actor

        revoke_token(db.session(), token.id, actor=Actor.OPERATOR, user_id=None, now=clock.now())
        db.session.commit()
    response = partner.get("/stats")
    assert response.status_code == 401
    assert 'error="invalid_token"' in response.headers["WWW-Authenticate"]


def test_a_token_expires(app: Flask, make: Callable[..., Token], company: Tenant) -> None:
    short = make(make_token, company, expires_at=clock.now() + timedelta(days=30))
    system = System(app, short)
    assert system.get("/stats").status_code == 200
    clock.advance(timedelta(days=30, seconds=1))
    assert system.get("/stats").status_code == 401


def test_while_a_token_is_replaced_both_work(
    app: Flask, make: Callable[..., Token], company: Tenant, partner: System
) -> None:
    fresh = System(app, make(make_token, company))
    assert partner.get("/stats").status_code == fresh.get("/stats").status_code == 200


def test_the_last_use_is_kept_to_the_minute(
    partner: System, token: Token, owner_engine: Engine
) -> None:
    def last_used() -> object:
        with owner_engine.connect() as connection:
            query = text("SELECT last_used_at FROM api_tokens WHERE id = :id")
            return connection.execute(query, {"id": token.id}).scalar_one()

    assert last_used() is None
    partner.get("/stats")
    first = last_used()
    assert first is not None
    clock.advance(timedelta(seconds=50))
    partner.get("/stats")
    assert last_used() == first
    clock.advance(timedelta(seconds=11))
    partner.get("/stats")
    assert last_used() != first


def test_the_token_itself_is_stored_and_logged_nowhere(
    app: Flask, partner: System, token: Token, owner_engine: Engine, company: Tenant
) -> None:
    with capture_logs() as logs:
        partner.post("/appointments", booking(company), key="k")
    with owner_engine.connect() as connection:
        rows = connection.execute(text("SELECT t::text FROM api_tokens t")).scalars().all()
        keys = connection.execute(text("SELECT t::text FROM idempotency_keys t")).scalars().all()
    assert token.text not in f"{rows}{keys}{logs}"
    assert rows
    assert keys


def test_logs_name_the_token_by_its_id(
    app: Flask, partner: System, token: Token, monkeypatch: pytest.MonkeyPatch
) -> None:
    import structlog

    seen: dict[str, object] = {}
    view = app.view_functions["api_v1.get_stats"]

    def look() -> object:
        seen.update(structlog.contextvars.get_contextvars())
        return view()

    monkeypatch.setitem(app.view_functions, "api_v1.get_stats", look)
    partner.get("/stats")
    assert seen["token_id"] == token.id
    assert seen["company_id"] == token.company_id
    assert token.text not in str(seen)


def test_a_login_counts_for_nothing_and_no_cookie_is_set(
    at_admin: Visitor, admin: Person, partner: System
) -> None:
    response = at_admin.get("/api/v1/stats")
    assert response.status_code == 401
    assert "Set-Cookie" not in response.headers
    assert "Set-Cookie" not in partner.get("/stats").headers
    assert "Set-Cookie" not in partner.post("/appointments", {}).headers


class TestWithFormTokens:
    """The tests run without form tokens; these do not."""

    @pytest.fixture(autouse=True)
    def _tokens(self, app: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setitem(app.config, "WTF_CSRF_ENABLED", True)

    def test_the_api_needs_none(self, partner: System, company: Tenant) -> None:
        assert partner.post("/appointments", booking(company)).status_code == 201


def test_answers_are_kept_in_no_cache(partner: System) -> None:
    for path in ("/stats", "/appointments/999"):
        assert partner.get(path).headers["Cache-Control"] == "no-store"


def test_requests_are_limited_per_token_over_all_addresses(
    partner: System, counter: System, tuned: Callable[..., None]
) -> None:
    tuned(api_requests_per_minute=3)
    codes = [partner.get(path).status_code for path in ("/stats", "/services", "/appointments")]
    assert codes == [200, 200, 200]

    response = partner.get("/stats")

    assert response.status_code == 429
    assert response.mimetype == "application/problem+json"
    assert response.get_json()["code"] == "too_many_requests"
    assert 1 <= int(response.headers["Retry-After"]) <= 60
    assert counter.get("/stats").status_code == 200, "another token has its own"


def test_without_redis_the_limit_is_kept_in_memory(
    app: Flask, partner: System, tuned: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    tuned(api_requests_per_minute=2)
    # What a Redis that is away looks like to the limiter.
    monkeypatch.setattr(limiter.storage, "incr", _away)
    monkeypatch.setattr(limiter.storage, "check", lambda: False)
    try:
        codes = [partner.get("/stats").status_code for _ in range(3)]
    finally:
        monkeypatch.setattr(limiter, "_storage_dead", False)
    assert codes == [200, 200, 429]


def _away(*_args: object, **_kwargs: object) -> None:
    from redis.exceptions import ConnectionError as Away

    raise Away("connection refused")


@pytest.mark.parametrize(
    ("method", "path", "status", "code"),
    [
        ("GET", "/nowhere", 404, "not_found"),
        ("GET", "/appointments/1/nowhere", 404, "not_found"),
        ("GET", "/appointments/abc", 404, "not_found"),
        ("GET", "/appointments/-1", 404, "not_found"),
        ("DELETE", "/appointments", 405, "method_not_allowed"),
        ("OPTIONS", "/appointments", 405, "method_not_allowed"),
        ("PUT", "/appointments/1", 405, "method_not_allowed"),
        ("GET", "/appointments?limit=%00", 400, "malformed_request"),
    ],
)
def test_errors_are_problems(
    partner: System, method: str, path: str, status: int, code: str
) -> None:
    response = partner.client.open(f"/api/v1{path}", method=method, headers=partner._headers({}))
    problem = response.get_json()
    assert (response.status_code, problem["status"], problem["code"]) == (status, status, code)
    assert response.mimetype == "application/problem+json"
    assert problem["request_id"] == response.headers["X-Request-ID"]
    assert problem["type"] == f"/api/v1/docs#{code}"
    if status == 405:
        assert re.search("GET|POST", response.headers["Allow"])


@pytest.mark.usefixtures("as_in_production")
def test_a_crash_is_a_problem_with_the_id_of_the_log(
    app: Flask, partner: System, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(app.view_functions, "api_v1.get_stats", lambda: 1 / 0)
    response = partner.get("/stats")
    assert response.status_code == 500
    assert response.get_json()["code"] == "internal_error"
    assert response.get_json()["request_id"] == response.headers["X-Request-ID"]
