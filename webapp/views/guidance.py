"""Help where it is needed: what each error code means, where it comes from and what to do."""

import re

from flask import Blueprint, abort
from flask.typing import ResponseReturnValue

from webapp.views.causes import CAUSES, UNKNOWN_CAUSE
from webapp.views.explanations import EXPLANATIONS, explain, family_of
from webapp.views.pages import render_page

blueprint = Blueprint("guidance", __name__, url_prefix="/help")

_FORM = re.compile(r"[A-Z][A-Z0-9_]{2,39}")


@blueprint.get("/errors")
def errors() -> ResponseReturnValue:
    return render_page("help/errors.html", explanations=EXPLANATIONS)


@blueprint.get("/errors/<code>")
def error(code: str) -> ResponseReturnValue:
    """One code; an unheard-of one is explained as such, what is no code is 404."""
    code = code.upper()
    if not _FORM.fullmatch(code):
        abort(404)
    return render_page(
        "help/error.html",
        code=code,
        explanation=explain(code),
        cause=CAUSES.get(family_of(code), UNKNOWN_CAUSE),
    )
