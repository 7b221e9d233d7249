"""Answers that don't tell by their time what they don't say in words: all take as long as the
slowest."""

import time

from flask import current_app

from webapp.extensions import db


def begin() -> float:
    """For `wait_for_the_slowest`: before anything is looked up."""
    return time.monotonic()


def wait_for_the_slowest(began_at: float) -> None:
    """Wait until EVEN_TIME_SECONDS have passed since then, which is longer than it takes for
    anybody. No transaction is open meanwhile: what isn't committed is rolled back."""
    db.session.rollback()
    even_seconds = float(current_app.config["EVEN_TIME_SECONDS"])
    time.sleep(max(0.0, began_at + even_seconds - time.monotonic()))
