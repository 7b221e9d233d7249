"""A person at the desk who has no JavaScript: links, forms, and what the pages say."""

import re
import time
from collections.abc import Callable
from datetime import datetime
from html import unescape
from zoneinfo import ZoneInfo

import httpx

BERLIN = ZoneInfo("Europe/Berlin")


class Person:
    """Logged in over HTTP; every act posts the form that the page shows."""

    def __init__(self, url: str, email: str) -> None:
        self._http = httpx.Client(base_url=url, follow_redirects=True, timeout=20)
        self._post("/login", "/login", email=email, password="lockstep-demo")
        assert "/login" not in str(self._http.get("/").url)

    def page(self, path: str) -> str:
        answer = self._http.get(path)
        assert answer.status_code == 200, f"{path}: {answer.status_code}"
        return unescape(answer.text)

    def status_of(self, path: str) -> int:
        return self._http.get(path).status_code

    def book(self, starts_at: datetime, *, email: str, service: str = "Behandlung") -> int:
        """Book for a new customer; returns the appointment's id."""
        form = self.page("/appointments/new")
        option = re.search(rf'<option\s+value="(\d+)"[^>]*>\s*{service}', form)
        assert option, f"no service {service}"
        local = starts_at.astimezone(BERLIN)
        answer = self._post(
            "/appointments/new",
            "/appointments",
            customer="new",
            name="Erika End-to-End",
            email=email,
            service=option[1],
            day=f"{local:%Y-%m-%d}",
            time=f"{local:%H:%M}",
        )
        return int(str(answer.url).rstrip("/").rpartition("/")[2])

    def move(self, appointment_id: int, starts_at: datetime) -> None:
        local = starts_at.astimezone(BERLIN)
        path = f"/appointments/{appointment_id}/reschedulings"
        self._post(path, path, day=f"{local:%Y-%m-%d}", time=f"{local:%H:%M}")

    def fill(self, path: str, *, on: str, **fields: str) -> None:
        """Post a form of a page with what is typed into it."""
        self._post(on, path, **fields)

    def press(self, path: str, *, on: str) -> None:
        """Post to a noun from the page that shows its button."""
        self._post(on, path)

    def finding_of(self, appointment_id: int) -> int | None:
        """The number of the appointment's row in the review queue."""
        queue = self.page(f"/reviews?text=%23{appointment_id}")
        row = re.search(
            rf'<tr id="review-(\d+)"(?:(?!<tr).)*?/appointments/{appointment_id}"', queue, re.DOTALL
        )
        return int(row[1]) if row else None

    def badge(self) -> int:
        """The number on the inbox."""
        answer = self._http.get("/notifications/badge")
        number = re.search(r">\s*(\d+)\s*<", answer.text)
        return int(number[1]) if number else 0

    def _post(self, page: str, path: str, **fields: str) -> httpx.Response:
        token = re.search(r'name="csrf_token"[^>]*value="([^"]+)"', self._http.get(page).text)
        assert token, f"no form on {page}"
        answer = self._http.post(path, data={"csrf_token": token[1], **fields})
        assert answer.status_code == 200, f"{path}: {answer.status_code} {answer.text[:500]}"
        return answer


def within(seconds: float, is_so: Callable[[], object]) -> bool:
    """Whether it comes true in time."""
    deadline = time.monotonic() + seconds
    while not is_so():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.1)
    return True
