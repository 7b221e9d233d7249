"""What is stored. Importing this package registers every table."""

from webapp.models import (  # noqa: F401
    appointment,
    audit,
    company,
    customer,
    delivery,
    discrepancy,
    history,
    incident,
    intent,
    notification,
    run,
    service,
    tenancy,
    user,
)
