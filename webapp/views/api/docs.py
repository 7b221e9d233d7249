"""Reading about the API: its document for programs, and the same as a page for people.

Neither needs a token or a login: they say nothing about any company.
"""

from flask import Blueprint, jsonify
from flask.typing import ResponseReturnValue

from webapp.application import settings
from webapp.views.api import reference
from webapp.views.api.document import document as openapi_document
from webapp.views.pages import render_page

blueprint = Blueprint("api_docs", __name__, url_prefix="/api/v1")

EXAMPLE = 'curl -H "Authorization: Bearer $TOKEN" {address}/appointments'


@blueprint.get("/openapi.json")
def document() -> ResponseReturnValue:
    return jsonify(openapi_document())


@blueprint.get("/docs")
def show() -> ResponseReturnValue:
    return render_page(
        "api/docs.html",
        reference=reference.read(openapi_document()),
        example=EXAMPLE.format(address=f"{settings().public_url}/api/v1"),
    )
