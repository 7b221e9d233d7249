"""What a company decided: its policies, read and changed as one, and audited."""

from dataclasses import asdict, dataclass
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from webapp.models.audit import Actor, record_audit
from webapp.models.company import Company, FieldPolicy, UnclaimedPolicy
from webapp.models.tenancy import require_company_id
from webapp.sync.policies import Policies


@dataclass(frozen=True, slots=True)
class Decision:
    """All policies of a company, under the names of its columns."""

    start_policy: FieldPolicy
    status_policy: FieldPolicy
    unclaimed_policy: UnclaimedPolicy
    managers_settle: bool

    @classmethod
    def of(cls, company: Company) -> "Decision":
        return cls(
            company.start_policy,
            company.status_policy,
            company.unclaimed_policy,
            company.managers_settle,
        )

    @property
    def policies(self) -> Policies:
        """Those that verification asks."""
        return Policies(self.start_policy, self.status_policy)


def decide(session: Session, decision: Decision, *, user_id: int, now: datetime) -> bool:
    """Let other policies hold from now on; False where these hold already."""
    company = session.scalars(
        select(Company)
        .where(Company.id == require_company_id())
        .with_for_update()
        .execution_options(populate_existing=True)
    ).one()
    before, after = asdict(Decision.of(company)), asdict(decision)
    changed = {name: [before[name], after[name]] for name in after if before[name] != after[name]}
    if not changed:
        return False
    for name in changed:
        setattr(company, name, after[name])
    record_audit(
        session,
        "policies.changed",
        f"company:{company.id}",
        at=now,
        actor=Actor.USER,
        user_id=user_id,
        **changed,
    )
    return True
