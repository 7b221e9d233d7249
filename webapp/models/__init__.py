"""What is stored. Importing this package registers every table."""

from webapp.models import (  # noqa: F401
    api_token,
    appointment,
    audit,
    bulk,
    company,
    customer,
    delivery,
    discrepancy,
    history,
    idempotency_key,
    incident,
    intent,
    notification,
    phone_answer,
    remote_change,
    run,
    service,
    tenancy,
    user,
)
