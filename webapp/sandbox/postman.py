"""Carries webhooks: signs them, tries once, and loses, doubles or reorders them on request.

One attempt, no retry, no order kept (API facts, §5). Private addresses are fine here.
"""

import hashlib
import hmac
import json
import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass

import httpx

from webapp.sandbox import payloads
from webapp.sandbox.faults import Faults
from webapp.sandbox.instants import Clock
from webapp.sandbox.ledger import Delivery, Ledger
from webapp.sandbox.records import Account, Json, Webhook
from webapp.sandbox.state import State

SIGNATURE_HEADER = "X-Cal-Signature-256"
NO_SECRET = "no-secret-provided"  # noqa: S105 - Cal.com's literal, not a secret
TIMEOUT_SECONDS = 5.0
CARRIERS = 16


@dataclass(frozen=True)
class Letter:
    """One signed body for one subscriber."""

    webhook: Webhook
    account: Account
    trigger: str
    uid: str
    body: bytes

    @property
    def headers(self) -> dict[str, str]:
        return {
            "Content-Type": "application/json",
            "User-Agent": "Lockstep-Sandbox",
            SIGNATURE_HEADER: sign(self.body, self.webhook.secret),
        }


def sign(body: bytes, secret: str | None) -> str:
    """Lower-case hex HMAC-SHA256 of the raw body; the literal where there is no secret."""
    if not secret:
        return NO_SECRET
    return hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()


class Postman:
    """Delivers to all active webhooks of an account that ask for the trigger."""

    def __init__(self, state: State, faults: Faults, ledger: Ledger, clock: Clock) -> None:
        self._state = state
        self._faults = faults
        self._ledger = ledger
        self._clock = clock
        self._lock = threading.Lock()
        self._held: list[Letter] = []
        self._client = httpx.Client(
            timeout=TIMEOUT_SECONDS, trust_env=False, limits=httpx.Limits(max_connections=CARRIERS)
        )
        self._carriers = ThreadPoolExecutor(CARRIERS, thread_name_prefix="sandbox-webhook")
        self._under_way: set[Future[int | None]] = set()
        self._timers: set[threading.Timer] = set()

    def send(self, account_id: int, trigger: str, uid: str, body: Json, *, hold: bool) -> None:
        """Send `body`. `hold`: return only when all subscribers have answered or timed out."""
        account = self._state.accounts.get(account_id)
        if account is None:
            return
        raw = json.dumps(body, ensure_ascii=False, separators=(",", ":")).encode()
        letters = [
            Letter(webhook, account, trigger, uid, raw)
            for webhook in list(self._state.webhooks.values())
            if webhook.account_id == account_id and webhook.active and trigger in webhook.triggers
        ]
        sent = [each for letter in letters for each in self._hand_over(letter)]
        if hold:
            wait(sent)

    def envelope(self, trigger: str, payload: Json) -> Json:
        return payloads.envelope(trigger, payload, self._clock.now())

    def ping(self, webhook: Webhook, trigger: str) -> int | None:
        """Send a test delivery and wait for the subscriber's status."""
        account = self._state.accounts[webhook.account_id]
        body = payloads.ping(trigger, account, self._clock.now())
        raw = json.dumps(body, separators=(",", ":")).encode()
        return self._deliver(Letter(webhook, account, trigger, "", raw))

    def _hand_over(self, letter: Letter) -> list[Future[int | None]]:
        struck = self._faults.striking(letter.trigger, letter.account, webhooks=True)
        if "webhook_dropped" in struck:
            self._note(letter, status=None, error="dropped on request")
            return []
        if "webhook_reordered" in struck:
            self._keep_back(letter, float(struck["webhook_reordered"]["seconds"]))
            return []
        copies = int(struck.get("webhook_duplicated", {}).get("copies", 1))
        if "webhook_delayed" in struck:
            delay = float(struck["webhook_delayed"]["seconds"])
            self._later(delay, lambda: self._post(letter, copies))
            return []
        sent = self._post(letter, copies)
        self._release_held(after=sent)
        return sent

    def _post(self, letter: Letter, copies: int = 1) -> list[Future[int | None]]:
        futures: list[Future[int | None]] = []
        for _ in range(copies):
            try:
                future = self._carriers.submit(self._deliver, letter)
            except RuntimeError:
                # The sandbox is stopping.
                break
            self._under_way.add(future)
            future.add_done_callback(self._under_way.discard)
            futures.append(future)
        return futures

    def _keep_back(self, letter: Letter, seconds: float) -> None:
        """Let the next delivery overtake this one; without a next one, send it after a while."""
        with self._lock:
            self._held.append(letter)
        self._later(seconds, lambda: self._release(letter))

    def _release_held(self, *, after: list[Future[int | None]]) -> None:
        with self._lock:
            held = list(self._held)
        if held:
            threading.Thread(target=self._follow, args=(held, after), daemon=True).start()

    def _follow(self, held: list[Letter], after: list[Future[int | None]]) -> None:
        wait(after)
        for letter in held:
            self._release(letter)

    def _release(self, letter: Letter) -> None:
        with self._lock:
            if letter not in self._held:
                return
            self._held.remove(letter)
        self._post(letter)

    def _later(self, seconds: float, act: Callable[[], object]) -> None:
        timer = threading.Timer(seconds, act)
        timer.daemon = True
        self._timers = {each for each in self._timers if each.is_alive()} | {timer}
        timer.start()

    def _deliver(self, letter: Letter) -> int | None:
        url = letter.webhook.subscriber_url
        try:
            answer = self._client.post(url, content=letter.body, headers=letter.headers)
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            self._note(letter, status=None, error=type(error).__name__)
            return None
        self._note(letter, status=answer.status_code, error=None)
        return answer.status_code

    def _note(self, letter: Letter, *, status: int | None, error: str | None) -> None:
        self._ledger.note_delivery(
            Delivery(
                trigger=letter.trigger,
                uid=letter.uid,
                account=letter.account.email,
                url=letter.webhook.subscriber_url,
                status=status,
                error=error,
                at=self._clock.now(),
            )
        )

    def settle(self, seconds: float) -> bool:
        """Wait until nothing is under way; False when the time runs out first."""
        _, unfinished = wait(set(self._under_way), timeout=seconds)
        return not unfinished

    def close(self) -> None:
        """Stop at once: what is still under way is lost, as with Cal.com."""
        for timer in self._timers:
            timer.cancel()
        self._carriers.shutdown(wait=False, cancel_futures=True)
        self._client.close()
