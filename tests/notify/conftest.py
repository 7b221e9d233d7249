"""A mail server and a chat service of our own, on loopback: real sockets, nothing mocked."""

import json
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from email import message_from_bytes, policy
from email.message import EmailMessage
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from aiosmtpd.controller import Controller
from flask import Flask
from sqlalchemy import select

from tests.factories import Tenant
from tests.processes.conftest import free_port
from webapp import clock
from webapp.extensions import db
from webapp.jobs.inline import work_off_due
from webapp.models.chat_channel import ChatChannel
from webapp.models.sending import Sending
from webapp.models.tenancy import as_company


@dataclass
class Postbox:
    """What the mail server took; `refusal` is what it answers to a recipient instead."""

    url: str = ""
    mails: list[EmailMessage] = field(default_factory=list)
    recipients: list[str] = field(default_factory=list)
    refusal: str | None = None

    async def handle_RCPT(  # noqa: N802 - aiosmtpd's name
        self, _server: Any, _session: Any, envelope: Any, address: str, _options: Any
    ) -> str:
        if self.refusal:
            return self.refusal
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, _server: Any, _session: Any, envelope: Any) -> str:  # noqa: N802
        mail = message_from_bytes(envelope.content, policy=policy.default)
        assert isinstance(mail, EmailMessage)
        self.mails.append(mail)
        self.recipients += envelope.rcpt_tos
        return "250 OK"


@dataclass
class ChatRoom:
    """What was posted to a chat service."""

    address: str = ""
    status: int = 200
    posts: list[dict[str, Any]] = field(default_factory=list)


@pytest.fixture
def postbox(app: Flask) -> Iterator[Postbox]:
    """A mail server that the application is set to use."""
    box = Postbox()
    port = free_port()
    controller = Controller(box, hostname="127.0.0.1", port=port, ready_timeout=20)
    controller.start()
    box.url = f"smtp-plain://127.0.0.1:{port}"
    before = app.extensions["settings"]
    app.extensions["settings"] = before.model_copy(
        update={"smtp_url": box.url, "mail_from": "Lockstep <desk@lockstep.test>"}
    )
    yield box
    app.extensions["settings"] = before
    controller.stop()


@pytest.fixture
def chat_room() -> Iterator[ChatRoom]:
    room = ChatRoom()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            length = int(self.headers.get("Content-Length", 0))
            room.posts.append(json.loads(self.rfile.read(length)))
            self.send_response(room.status)
            self.end_headers()

        def log_message(self, *_words: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    room.address = f"json://127.0.0.1:{server.server_port}/hook"
    yield room
    server.shutdown()
    server.server_close()


def add_channel(app: Flask, company: Tenant, address: str, **columns: Any) -> int:
    with as_company(company.id):
        channel = ChatChannel(
            company_id=company.id, name="Team", kind="JSON", created_at=clock.now(), **columns
        )
        channel.muted_types = columns.get("muted_types", [])
        channel.set_address(address, app.extensions["vault"])
        db.session.add(channel)
        db.session.commit()
        return channel.id


def sendings(company: Tenant) -> list[Sending]:
    with as_company(company.id):
        found = list(db.session.scalars(select(Sending).order_by(Sending.id)))
        db.session.expunge_all()
        return found


def work() -> None:
    work_off_due()
