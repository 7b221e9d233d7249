"""Lockstep: keeps a company's appointments and Cal.com in step, and shows where they are not."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from flask import Flask

    from webapp.settings import Settings


def create_app(settings: Settings | None = None) -> Flask:
    """Make, initialise, register. Without `settings` they are read from the environment."""
    from webapp.application import make_app

    return make_app(settings)
