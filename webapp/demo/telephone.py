"""Calls: what a voice agent asks and books for people who telephone, through the door itself."""

import json
import random
from datetime import date, timedelta
from typing import Any

from flask import current_app

from webapp import clock
from webapp.demo.cast import Troupe
from webapp.views.phone.signatures import HEADER, sign

SATURDAY = 5


class Call:
    """One call, from a number of its own."""

    def __init__(self, troupe: Troupe, number: int) -> None:
        self._troupe = troupe
        self._call = {
            "call_id": f"call_{troupe.slug}_{number}",
            "direction": "inbound",
            "from_number": f"{troupe.phone_prefix}9{number:03}",
        }

    def ask(self, function: str, **args: str) -> dict[str, Any]:
        """The answer to one function of the voice agent."""
        raw = json.dumps({"name": function, "args": args, "call": self._call}).encode()
        answer = current_app.test_client().post(
            f"/webhooks/retell/{self._troupe.phone_token}",
            data=raw,
            headers={HEADER: sign(raw, self._troupe.retell_key, clock.now())},
        )
        return dict(answer.get_json())


def take_call(troupe: Troupe, today: date, day: int, dice: random.Random) -> None:
    """Somebody asks for a Saturday and books; some think better of it before they hang up."""
    call = Call(troupe, abs(day))
    offer = dice.choice([offer for offer in troupe.offers if offer.is_on_calcom])
    saturday = today + timedelta(days=day + (SATURDAY - (today + timedelta(day)).weekday()) % 7 + 7)
    asked = {"service": offer.name, "date": saturday.isoformat()}
    free = call.ask("check_availability", **asked)["slots"]
    if len(free) < 2:
        return
    first, second = dice.sample([slot["starts_at"] for slot in free], 2)
    name = f"{dice.choice(troupe.first_names)} {dice.choice(troupe.last_names)}"
    call.ask("book_appointment", service=offer.name, start=first, customer_name=name)
    if day % 4 == 0:
        call.ask("reschedule_appointment", new_start=second)
    elif day % 5 == 0:
        call.ask("cancel_appointment")
