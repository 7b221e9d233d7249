"""What every answer carries: a request id, a strict content policy, nothing kept in caches."""

import secrets
from http import HTTPStatus

import structlog
from flask import Flask, Response, g, request

from webapp.views import assets, htmx

CONTENT_POLICY = (
    "default-src 'self'; img-src 'self' data:; style-src 'self'; script-src 'self';"
    " frame-ancestors 'none'; base-uri 'none'; form-action 'self'; object-src 'none'"
)
ONE_YEAR_SECONDS = 31_536_000


def register(app: Flask) -> None:
    app.before_request_funcs.setdefault(None, []).insert(0, _begin)
    app.after_request(_finish)


def request_id() -> str:
    """What a person can quote and the logs can be searched for."""
    if "request_id" not in g:
        g.request_id = secrets.token_hex(6)
    return str(g.request_id)


def _begin() -> None:
    structlog.contextvars.clear_contextvars()
    structlog.contextvars.bind_contextvars(request_id=request_id())


def _finish(response: Response) -> Response:
    headers = response.headers
    headers["X-Request-ID"] = request_id()
    headers["X-Content-Type-Options"] = "nosniff"
    headers["Referrer-Policy"] = "same-origin"
    headers["Content-Security-Policy"] = CONTENT_POLICY
    if request.is_secure:
        headers["Strict-Transport-Security"] = f"max-age={ONE_YEAR_SECONDS}"
    if request.endpoint == "static":
        _let_browsers_keep(response)
    else:
        htmx.vary(response)
        headers["Cache-Control"] = "no-store"
    return response


def _let_browsers_keep(response: Response) -> None:
    if response.status_code >= HTTPStatus.BAD_REQUEST:
        response.headers["Cache-Control"] = "no-store"
    elif assets.is_for_ever(response):
        response.cache_control.no_cache = None
        response.cache_control.public = True
        response.cache_control.max_age = ONE_YEAR_SECONDS
        response.cache_control.immutable = True
