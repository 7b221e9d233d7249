"""Sample data: three weeks of two companies, lived by the real engine against the sandbox."""

from collections.abc import Callable
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from webapp import clock
from webapp.application import settings
from webapp.demo.cast import TROUPES, Troupe
from webapp.demo.completion import clear_away, is_complete, mark_complete
from webapp.demo.setting import build_company, build_remote, register_webhook
from webapp.demo.stage import Stage, set_stage
from webapp.demo.story import DAYS_BACK, plan_bookings, play_day
from webapp.demo.troubles import cause_troubles
from webapp.jobs.inline import forget_queued
from webapp.sandbox.remote import RemoteSandbox

Say = Callable[[str], None]


def seed(sandbox_url: str, *, say: Say) -> None:
    """Fill an empty database and sandbox; where that is done only the sandbox's side is asserted
    again, and where an earlier start was interrupted it is done anew.

    Needs a sandbox that answers; no worker may be running meanwhile.
    """
    with RemoteSandbox(sandbox_url) as remote:
        if not is_complete():
            clear_away(say)
            remote.post("reset")
            for troupe in TROUPES:
                _play(remote, troupe, say)
            forget_queued()
            mark_complete()
        for troupe in TROUPES:
            build_remote(remote, troupe)
            register_webhook(remote, troupe, settings().public_url)


def _play(remote: RemoteSandbox, troupe: Troupe, say: Say) -> None:
    with set_stage(remote) as (stage, door_url):
        today = clock.now().astimezone(ZoneInfo(troupe.time_zone)).date()
        stage.set_time(_morning(troupe, today, -DAYS_BACK))
        event_types = build_remote(remote, troupe)
        register_webhook(remote, troupe, door_url)
        company_id = build_company(remote, troupe, event_types, now=clock.now())
        plans = plan_bookings(troupe, today)
        for day in range(-DAYS_BACK, 0):
            say(f"{troupe.name}: day {day + DAYS_BACK + 1} of {DAYS_BACK}")
            stage.set_time(_morning(troupe, today, day))
            play_day(stage, troupe, company_id, plans, today, day)
        _return_to_present(stage)
        say(f"{troupe.name}: and what went wrong lately")
        cause_troubles(stage, troupe, company_id)
        _forget_door(remote, troupe, door_url)


def _morning(troupe: Troupe, today: date, day: int) -> datetime:
    return datetime.combine(today + timedelta(days=day), time(7, 30), ZoneInfo(troupe.time_zone))


def _return_to_present(stage: Stage) -> None:
    """Retries and verifications of the troubles take a few minutes: end in the present."""
    stage.set_time(datetime.now(UTC) - timedelta(minutes=5))


def _forget_door(remote: RemoteSandbox, troupe: Troupe, door_url: str) -> None:
    """The seed's own door closes: the sandbox must not call it again."""
    remote.post(
        "webhooks",
        account=troupe.calcom_email,
        subscriberUrl=f"{door_url}/webhooks/calcom/{troupe.webhook_token}",
        triggers=["BOOKING_CREATED"],
        secret=troupe.webhook_secret,
        active=False,
    )
