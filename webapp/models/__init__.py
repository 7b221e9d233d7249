"""What is stored. Importing this package registers every table."""

from webapp.models import (  # noqa: F401
    api_token,
    appointment,
    audit,
    chat_channel,
    company,
    customer,
    delivery,
    discrepancy,
    history,
    idempotency_key,
    intent,
    notification,
    preference,
    run,
    sending,
    service,
    tenancy,
    user,
)
