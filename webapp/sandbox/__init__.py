"""A Cal.com to try against: speaks its API v2 over HTTP, and knows nothing of the rest of us.

Serves the demo, the tests, the chaos runs and the benchmarks. What it does is held to the facts
about Cal.com's API that the project keeps; `docs/sandbox.md` says how to steer it.
"""

from pathlib import Path

from flask import Flask
from jinja2 import StrictUndefined

from webapp.sandbox.api import register_api
from webapp.sandbox.control import register_control
from webapp.sandbox.core import GENEROUS_LIMIT, Sandbox
from webapp.sandbox.page import register_page


def create_sandbox(*, data: Path | None = None, rate_limit: int | None = None) -> Flask:
    """The sandbox's application. `data`: the file that keeps its state, else memory only;
    `rate_limit`: calls per 60 s and key. The sandbox itself is `app.extensions["sandbox"]`."""
    app = Flask(__name__)
    app.jinja_env.undefined = StrictUndefined
    app.extensions["sandbox"] = Sandbox(data=data, rate_limit=rate_limit or GENEROUS_LIMIT)
    register_api(app)
    register_control(app)
    register_page(app)
    return app
