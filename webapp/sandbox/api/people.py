"""`GET /v2/me`: the only honest check of a key."""

from flask import Blueprint, Response

from webapp.sandbox.api.gate import json_answer, needs_key
from webapp.sandbox.shapes import account_body, dump, success


def add_routes(api: Blueprint) -> None:
    api.add_url_rule("/me", "me", show_me)


def show_me() -> Response:
    return json_answer(success(dump(account_body(needs_key()))))
