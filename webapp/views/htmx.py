"""The only place that knows HX- headers: what htmx asks, and what it can be told."""

from urllib.parse import urlsplit

from flask import Response, make_response, redirect, request, url_for
from flask.typing import ResponseReturnValue


def is_htmx() -> bool:
    """Whether htmx asks, and so wants a fragment."""
    return request.headers.get("HX-Request") == "true"


def is_poll() -> bool:
    """Whether a page asks by itself, without a person behind it."""
    return is_htmx() and "poll" in request.args


def vary(response: Response) -> None:
    """Tell caches that a fragment and a page share their address."""
    response.vary.add("HX-Request")


def see_other(url: str) -> ResponseReturnValue:
    """Go elsewhere after a POST: 303, or under htmx a whole new page."""
    if not is_htmx():
        return redirect(url, code=303)
    return _told({"HX-Redirect": url})


def to_login() -> ResponseReturnValue:
    """Ask for a login and remember where to go on."""
    return see_other(url_for("login.show", next=_where_they_are()))


def as_toast(fragment: str) -> Response:
    """Show a fragment in the page's corner, whatever the request was aimed at: the newest alone."""
    response = make_response(fragment)
    response.headers["HX-Retarget"] = "#toasts"
    response.headers["HX-Reswap"] = "innerHTML"
    return response


def in_place_of(selector: str, fragment: str) -> Response:
    """Put a fragment elsewhere than the request was aimed at: a form with its errors in place of
    itself."""
    response = make_response(fragment)
    response.headers["HX-Retarget"] = selector
    response.headers["HX-Reswap"] = "outerHTML"
    return response


def _where_they_are() -> str | None:
    if is_htmx():
        url = urlsplit(request.headers.get("HX-Current-URL", ""))
        return f"{url.path}?{url.query}".rstrip("?") or None
    if request.method != "GET" or request.path == "/":
        return None
    return request.full_path.rstrip("?")


def _told(headers: dict[str, str]) -> Response:
    response = make_response("", 200)
    response.headers.update(headers)
    return response
