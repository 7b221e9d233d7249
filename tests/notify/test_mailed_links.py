"""A link in a mail leads to what it is about, also where its item was folded meanwhile."""

from typing import Any

import pytest
from flask import Flask

from tests.factories import Person, Tenant
from tests.notify.conftest import Postbox, work
from tests.notify.test_folding import find_many, said, titles
from tests.notify.test_sendings import items, wait
from tests.views.conftest import Visitor
from webapp.jobs import sendings as job


def test_a_mailed_link_leads_to_its_appointment_after_folding(
    app: Flask, company: Tenant, admin: Person, postbox: Postbox
) -> None:
    with app.app_context():
        mailed = find_many(company, 4)
        wait(4)
        work()
        links = [item.id for item in items(company, user_id=admin.id)]
        wait(60)
        find_many(company, 1)
        assert titles(admin, company) == ["5 appointments differ between here and Cal.com"]
    assert all(f"/notifications/{each}" in said(postbox.mails[0]) for each in links)
    at_admin = Visitor(app)
    at_admin.log_in(admin)
    assert [at_admin.get(f"/notifications/{each}").location for each in links] == [
        f"/appointments/{each}" for each in mailed
    ]
    assert at_admin.page("/notifications").count("Part of a summary") == 4


def test_a_link_that_leaves_while_its_item_is_folded_leads_there_too(
    app: Flask,
    company: Tenant,
    admin: Person,
    postbox: Postbox,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    send = job.send_mail

    def send_while_it_folds(*args: Any, **kwargs: Any) -> None:
        monkeypatch.setattr(job, "send_mail", send)
        find_many(company, 1)
        send(*args, **kwargs)

    monkeypatch.setattr(job, "send_mail", send_while_it_folds)
    with app.app_context():
        mailed = find_many(company, 4)
        wait(4)
        work()
    at_admin = Visitor(app)
    at_admin.log_in(admin)
    link = said(postbox.mails[0]).partition("http://127.0.0.1:8000")[2].split()[0]
    assert at_admin.get(link).location == f"/appointments/{mailed[0]}"
