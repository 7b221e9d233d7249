"""What the doctor says of one thing."""

from dataclasses import dataclass
from enum import StrEnum


class Verdict(StrEnum):
    OK = "ok"
    WARN = "warn"
    FAIL = "fail"


@dataclass(frozen=True, slots=True)
class Finding:
    """`check` is a stable name; `advice` is empty where nothing needs to be done."""

    check: str
    verdict: Verdict
    said: str
    advice: str = ""
    company: str | None = None


def ok(check: str, said: str, *, company: str | None = None) -> Finding:
    return Finding(check, Verdict.OK, said, company=company)


def warn(check: str, said: str, advice: str, *, company: str | None = None) -> Finding:
    return Finding(check, Verdict.WARN, said, advice, company)


def fail(check: str, said: str, advice: str, *, company: str | None = None) -> Finding:
    return Finding(check, Verdict.FAIL, said, advice, company)
