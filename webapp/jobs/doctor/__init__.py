"""Is this installation sound? Each check says ok, warn or fail, and what to do (`flask doctor`).

Nothing here changes anything: connections are asked, never marked.
"""

from collections.abc import Iterator

from webapp.extensions import db
from webapp.jobs.doctor.companies import company_findings
from webapp.jobs.doctor.findings import Finding, Verdict, fail, ok, warn
from webapp.jobs.doctor.house import database_findings, redis_findings, setting_findings
from webapp.jobs.doctor.work import work_findings
from webapp.models.crossing import company_ids
from webapp.models.tenancy import as_company

__all__ = ["Finding", "Verdict", "examine", "fail", "ok", "warn"]


def examine() -> Iterator[Finding]:
    """Every check, one after the other; what needs the database is left out where it is away."""
    yield from setting_findings()
    has_redis = False
    for finding in redis_findings():
        has_redis = has_redis or (finding.check == "redis" and finding.verdict is not Verdict.FAIL)
        yield finding
    is_usable = True
    for finding in database_findings():
        is_usable = is_usable and finding.verdict is not Verdict.FAIL
        yield finding
    if not is_usable:
        return
    yield from work_findings(has_redis=has_redis)
    ids = company_ids(db.session())
    db.session.rollback()
    if not ids:
        yield warn("companies", "there is none yet", "make one: `company create`")
    for company_id in ids:
        with as_company(company_id):
            yield from company_findings()
