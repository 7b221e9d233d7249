"""The control door from outside: a small client for whoever has to set a running sandbox up."""

from types import TracebackType
from typing import Any, Self

import httpx


class SandboxRefusal(Exception):
    """The sandbox says no, and why: the slot is taken, the booking unknown."""


class RemoteSandbox:
    """A sandbox at a URL; methods raise SandboxRefusal, or httpx.HTTPError where none answers."""

    def __init__(self, url: str, *, timeout_seconds: float = 30.0) -> None:
        self._http = httpx.Client(base_url=url, timeout=timeout_seconds)
        self.api_url = f"{url.rstrip('/')}/v2"

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._http.close()

    def get(self, what: str, **query: str) -> Any:
        """`get("state", only="bookings")`."""
        return self._json(self._http.get(f"/_sandbox/{what}", params=query))

    def post(self, what: str, **body: Any) -> Any:
        """`post("accounts", email=…)`; what is there already is brought up to date."""
        return self._json(self._http.post(f"/_sandbox/{what}", json=body))

    def switch_on(self, *faults: dict[str, Any]) -> None:
        """Replace the list of faults."""
        self._json(self._http.put("/_sandbox/faults", json=list(faults)))

    def remove_booking(self, uid: str) -> None:
        """Let a booking vanish without a trace."""
        self._json(self._http.delete(f"/_sandbox/bookings/{uid}"))

    def settle(self) -> None:
        """Wait until no webhook is under way."""
        self.post("settle", seconds=10)

    @staticmethod
    def _json(answer: httpx.Response) -> Any:
        if answer.is_client_error:
            raise SandboxRefusal(answer.text[:300])
        answer.raise_for_status()
        return answer.json()
