"""What is stored. Importing this package registers every table."""

from webapp.models import (  # noqa: F401
    appointment,
    audit,
    chat_channel,
    company,
    customer,
    delivery,
    discrepancy,
    history,
    intent,
    notification,
    preference,
    run,
    sending,
    service,
    tenancy,
    user,
)
