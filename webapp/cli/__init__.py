"""The operator's command line: `flask --app webapp …`, or `make flask ARGS="…"`.

A command is *look up → act → commit → say*. What a person typed wrongly ends it with a sentence.
"""

from flask import Flask

from webapp.cli.companies import company
from webapp.cli.pauses import pause, resume
from webapp.cli.people import user
from webapp.cli.services import service
from webapp.cli.tokens import token
from webapp.cli.work import demo, pulse


def register(app: Flask) -> None:
    for command in (company, service, user, token, pause, resume, demo, pulse):
        app.cli.add_command(command)
