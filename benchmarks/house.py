"""What the benchmarks run on: settings for embedded servers, and a way to ask a page."""

import statistics
import time
from collections.abc import Sequence

from flask.testing import FlaskClient

from webapp.embedded import Servers

KEYS = "1:MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE="


def settings_for(servers: Servers) -> dict[str, str]:
    """The environment of an application on these servers."""
    return {
        "DATABASE_URL": servers.database_url,
        "DATABASE_OWNER_URL": servers.database_owner_url,
        "REDIS_URL": servers.redis_url,
        "SECRET_KEY": "a secret for the benchmark only, long enough",
        "ENCRYPTION_KEYS": KEYS,
        "SESSION_COOKIE_SECURE": "false",
        "LOG_LEVEL": "WARNING",
    }


def ask(client: FlaskClient, address: str, rounds: int) -> list[float]:
    """Server times of a page asked for again and again, milliseconds, quickest first; the first
    answer, which warms what is kept, isn't among them."""
    times = []
    for number in range(rounds + 1):
        began = time.perf_counter()
        answer = client.get(address)
        if number:
            times.append((time.perf_counter() - began) * 1000)
        assert answer.status_code == 200, f"{address}: {answer.status_code}"
    return sorted(times)


def p95(times: Sequence[float]) -> float:
    return statistics.quantiles(times, n=20)[-1]
