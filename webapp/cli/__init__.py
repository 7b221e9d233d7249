"""The operator's command line: `flask --app webapp …`, or `make flask ARGS="…"`.

A command is *look up → act → commit → say*. What a person typed wrongly ends it with a sentence.
"""

from flask import Flask

from webapp.cli.audit import audit
from webapp.cli.breaker import breaker
from webapp.cli.companies import company
from webapp.cli.customers import customer
from webapp.cli.doctor import doctor
from webapp.cli.figures import appointment, stats
from webapp.cli.messages import message
from webapp.cli.pauses import pause, resume
from webapp.cli.people import user
from webapp.cli.queues import queues
from webapp.cli.schedule import schedule
from webapp.cli.secrets import secrets
from webapp.cli.services import service
from webapp.cli.tokens import token
from webapp.cli.work import demo, pulse
from webapp.cli.workers import workers


def register(app: Flask) -> None:
    for group in (company, service, user, token, customer, appointment, message, audit, secrets):
        app.cli.add_command(group)
    for command in (doctor, queues, workers, schedule, breaker, stats, pause, resume, pulse, demo):
        app.cli.add_command(command)
