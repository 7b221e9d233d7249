"""A client for the company a job acts for; it refuses to call while a transaction is open."""

from webapp.application import settings, vault
from webapp.calcom.client import CalcomClient
from webapp.calcom.errors import Unauthorised
from webapp.extensions import db
from webapp.models.company import Company, Secret
from webapp.models.tenancy import require_company_id
from webapp.models.vault import VaultError


class TransactionOpenError(RuntimeError):
    """A call was about to be made with a transaction open: commit first."""


def open_client() -> CalcomClient:
    """The current company's client; raises Unauthorised where key or address can't be used.

    Reads the company and ends the transaction, so call it between transactions.
    """
    company = db.session.get_one(Company, require_company_id())
    base_url = company.calcom_base_url
    try:
        key = company.secret(Secret.API_KEY, vault())
        if not key:
            raise Unauthorised("UNAUTHORIZED", "The company has no API key yet")
        return CalcomClient(
            base_url,
            key,
            deadline_seconds=settings().calcom_call_seconds,
            allow_private_networks=settings().allow_private_networks,
            before_call=refuse_inside_transaction,
        )
    except VaultError:
        raise Unauthorised("UNAUTHORIZED", "The stored API key cannot be opened") from None
    except ValueError:
        raise Unauthorised("UNAUTHORIZED", "The Cal.com address or key cannot be used") from None
    finally:
        db.session.rollback()


def refuse_inside_transaction() -> None:
    """An open transaction would hold locks for as long as Cal.com takes (S3.4)."""
    if db.session().in_transaction():
        raise TransactionOpenError("commit before calling Cal.com")
