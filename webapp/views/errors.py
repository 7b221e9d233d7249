"""Error pages: what happened, what to do, an id to quote; JSON for programs, a toast for htmx."""

from http import HTTPStatus
from typing import NamedTuple

from flask import Flask, Response, jsonify, make_response, render_template, request
from flask.typing import ResponseReturnValue
from flask_babel import LazyString
from flask_babel import lazy_gettext as _l
from flask_login import current_user
from flask_wtf.csrf import CSRFError
from werkzeug.exceptions import HTTPException, InternalServerError

from webapp.extensions import db
from webapp.views import headers, htmx
from webapp.views.api import problems
from webapp.views.words import gettext as _


class Message(NamedTuple):
    title: LazyString
    advice: LazyString


MESSAGES = {
    400: Message(
        _l("That request could not be understood"),
        _l("Go back, reload the page and try again."),
    ),
    401: Message(_l("Please log in"), _l("This page needs a login.")),
    403: Message(
        _l("You may not do that"),
        _l("Your role does not allow it. An admin of your company can help."),
    ),
    404: Message(
        _l("There is nothing here"),
        _l("The address may be mistyped, or what it led to is not part of your company."),
    ),
    405: Message(
        _l("That does not work here"),
        _l("Open the page from the navigation and use its buttons."),
    ),
    413: Message(_l("That was too large"), _l("Shorten the text and send it again.")),
    422: Message(_l("Something needs to be corrected"), _l("Check what was entered.")),
    429: Message(_l("Too many attempts"), _l("Wait a minute, then try again.")),
    500: Message(
        _l("Something went wrong on our side"),
        _l(
            "Try again in a moment. Changes to appointments that were confirmed are safe."
            " If it happens again, tell your operator the id below."
        ),
    ),
}
STALE_FORM = Message(
    _l("This page was open too long"),
    _l("For your safety it can no longer be sent. Reload the page and try again."),
)


def register(app: Flask) -> None:
    app.register_error_handler(HTTPException, show_error)
    app.register_error_handler(CSRFError, show_stale_form)


def show_error(error: HTTPException) -> ResponseReturnValue:
    """Any error; one without a message of its own gets that of its class."""
    if error.code is None or error.code < 400:
        return error.get_response()
    if request.path.startswith("/api/"):
        return problems.answer(error)
    if isinstance(error, InternalServerError):
        db.session.rollback()
    message = MESSAGES.get(error.code) or MESSAGES[400 if error.code < 500 else 500]
    response = _answer(error.code, message)
    for name, value in error.get_headers():
        if name in ("Allow", "Retry-After"):
            response.headers[name] = value
    return response


def show_stale_form(_error: CSRFError) -> ResponseReturnValue:
    """The form's token belongs to no session of this browser (any more)."""
    if not _wants_json() and request.endpoint != "login.admit" and not _is_logged_in():
        return htmx.to_login()
    return _answer(400, STALE_FORM)


def _is_logged_in() -> bool:
    return bool(current_user.is_authenticated)


def _answer(status: int, message: Message) -> Response:
    if _wants_json():
        response = jsonify(
            status=status,
            error=HTTPStatus(status).phrase,
            message=str(message.title),
            request_id=headers.request_id(),
        )
    elif htmx.is_htmx():
        response = htmx.as_toast(_render("errors/_toast.html", status, message))
    else:
        response = make_response(_render("errors/show.html", status, message))
    response.status_code = status
    return response


def _render(template: str, status: int, message: Message) -> str:
    return render_template(
        template,
        status=status,
        message=message,
        request_id=headers.request_id(),
        status_name=_("Error %(status)s", status=status),
    )


def _wants_json() -> bool:
    if request.path.startswith(("/webhooks/", "/healthz", "/readyz")):
        return True
    accepted = request.accept_mimetypes
    return request.is_json or accepted.best_match(["text/html", "application/json"]) == (
        "application/json"
    )
