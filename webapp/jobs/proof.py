"""The proof job: one listing for all of a company's recent creates."""

from webapp import clock
from webapp.calcom.errors import CalcomError
from webapp.extensions import db
from webapp.jobs.connection import open_client
from webapp.logs import sync_log
from webapp.models.tenancy import as_company
from webapp.sync.proof import list_recent, record_proofs, take_unproven


def prove(company_id: int, _row_id: int) -> None:
    """Prove what is due; where Cal.com can't be asked now, the lease brings it up again."""
    with as_company(company_id):
        unproven = take_unproven(db.session(), now=clock.now())
        db.session.commit()
        if unproven is None:
            return
        try:
            with open_client(is_sweep=True) as client:
                seen = list_recent(unproven, client)
        except CalcomError as error:
            sync_log().warning("proof_put_off", code=error.code)
            return
        missing = record_proofs(db.session(), unproven, seen, now=clock.now())
        db.session.commit()
        sync_log().info("creates_proven", seen=len(seen), missing=missing)
