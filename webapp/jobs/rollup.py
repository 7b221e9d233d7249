"""The job that counts a company's figures in advance, a part at a time, each committed: where it is
interrupted, the next goes on."""

from webapp import clock
from webapp.extensions import db
from webapp.insight.rollup import (
    count_part,
    count_touched,
    forget_old,
    parts_to_count,
    sum_days,
)
from webapp.models.company import Company
from webapp.models.rollup import DAY_SECONDS, FINE_SECONDS, HOUR_SECONDS
from webapp.models.tenancy import as_company


def roll_up(company_id: int, _row_id: int) -> None:
    """Once a slot; doing it twice changes nothing."""
    with as_company(company_id):
        now = clock.now()
        for length in (FINE_SECONDS, HOUR_SECONDS):
            parts = parts_to_count(db.session(), length, now)
            db.session.commit()
            for since in parts:
                count_part(db.session(), length, since, now)
                db.session.commit()
            touched = count_touched(db.session(), length, now)
            if length == HOUR_SECONDS:
                zone = db.session.get_one(Company, company_id).zone
                sum_days(db.session(), min([now, *parts, *touched]), now, zone)
            db.session.commit()
        for length in (FINE_SECONDS, HOUR_SECONDS, DAY_SECONDS):
            forget_old(db.session(), length, now)
        db.session.commit()
