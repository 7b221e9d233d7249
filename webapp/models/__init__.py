"""What is stored. Importing this package registers every table."""

from webapp.models import (  # noqa: F401
    appointment,
    audit,
    bulk,
    company,
    customer,
    delivery,
    discrepancy,
    history,
    intent,
    notification,
    run,
    service,
    tenancy,
    user,
)
