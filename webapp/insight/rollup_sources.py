"""Where each figure comes from, one statement a source. Stretches begin at `:since`, the last ends
at `:until`.

| figure | key | count, total, peak |
|---|---|---|
| `created` | origin/outcome | appointments made; outcome now: synced, waiting, failed |
| `service` | service id/outcome | the same by service |
| `push` | pushed, push_retries, push_failed | tries at changes, by how they ended |
| `error` | code | setbacks of pushes and verifications, and findings by code |
| `verification_failed` | | verifications that failed |
| `latency` | `all`, or a bin | from a change to agreement |
| `found` | type | findings |
| `settled` | alone, person | findings that were settled, and the time it took |
| `resolution` | a bin | the same time |
| `queue` | | peak: findings open at the end; total: age of the oldest, seconds |
| `run` | scope/status | runs that ended, and how long they took |
| `coverage` | seen, expected | appointments that runs over a window saw to agree, and should have |
| `delivery` | status | webhooks received |
| `change` | announced, missed | changes on Cal.com, told by a webhook or only seen |
| `inbox` | `all`, or a bin | from a finding to everybody's inbox |
| `sending` | `all`, or a bin | from there to mail or chat |
"""

from webapp.models.remote_change import ANNOUNCING

_ANNOUNCING = ", ".join(f"'{trigger}'" for trigger in ANNOUNCING)
_INSERT = (
    "INSERT INTO rollups (company_id, length_seconds, begins_at, figure, key, count, total, peak)"
)


def _stretch(column: str) -> str:
    return f"date_bin(:length * interval '1 second', {column}, timestamptz '1970-01-01 00:00Z')"


def _bin(seconds: str) -> str:
    """As `rollup.bin_of`; three digits, so that bins sort as they grow."""
    return (
        f"lpad(CASE WHEN {seconds} <= :least_seconds THEN '0'"
        f" ELSE least(:last_bin, floor(ln(({seconds} / :least_seconds)::float8)"
        " / ln(CAST(:growth AS float8))))::int::text END, 3, '0')"
    )


def _counted(table: str, column: str, figure: str, key: str, where: str = "true") -> str:
    """Rows of a table by stretch and key."""
    return f"""{_INSERT}
        SELECT :company, :length, {_stretch(column)}, {figure}, {key}, count(*), 0, 0
          FROM {table}
         WHERE company_id = :company AND {column} >= :since AND {column} < :until AND {where}
         GROUP BY 3, 4, 5"""  # noqa: S608 - no word of it comes from outside


def _timed(rows: str, figure: str, all_figure: str | None = None, key: str = "'all'") -> str:
    """`rows` gives `at, seconds` (and what `key` needs): a row for all, and the histogram."""
    return f"""WITH timed AS MATERIALIZED ({rows})
        {_INSERT}
        SELECT :company, :length, {_stretch("at")}, '{all_figure or figure}', {key}, count(*),
               coalesce(sum(seconds), 0), coalesce(max(seconds), 0)
          FROM timed GROUP BY 3, 4, 5
        UNION ALL
        SELECT :company, :length, {_stretch("at")}, '{figure}', {_bin("seconds")}, count(*), 0, 0
          FROM timed GROUP BY 3, 4, 5"""  # noqa: S608


def _seconds(later: str, earlier: str) -> str:
    return f"greatest(0, extract(epoch FROM {later} - {earlier}))::float8"


OUTCOME = """CASE WHEN calcom_sync_status = 'synced' THEN 'synced'
                  WHEN calcom_sync_status IN ('pending', 'verification_pending') THEN 'waiting'
                  ELSE 'failed' END"""
COHORT = f"""{_INSERT}
    SELECT :company, :length, {_stretch("created_at")}, figure, key, count(*), 0, 0
      FROM appointments, LATERAL (VALUES
           ('created', created_by_origin || '/' || {OUTCOME}),
           ('service', service_id::text || '/' || {OUTCOME})) AS by_it (figure, key)
     WHERE company_id = :company AND created_at >= :since AND created_at < :until
     GROUP BY 3, 4, 5"""  # noqa: S608

TOUCHED = f"""
    SELECT DISTINCT {_stretch("a.created_at")}
      FROM history_events h
      JOIN appointments a ON a.company_id = h.company_id AND a.id = h.appointment_id
     WHERE h.company_id = :company AND h.at >= :touched AND a.created_at >= :least
       AND a.created_at < :touched"""  # noqa: S608
"""Stretches in which an appointment was made that something has happened to since."""

_LATENCY = f"""
    SELECT h.at, {_seconds("h.at", "i.created_at")} AS seconds
      FROM history_events h JOIN intents i ON i.company_id = h.company_id AND i.id = h.intent_id
     WHERE h.company_id = :company AND h.at >= :since AND h.at < :until AND h.kind = 'pushed'
"""  # noqa: S608
_SETTLED = f"""
    SELECT resolved_at AS at, {_seconds("resolved_at", "opened_at")} AS seconds,
           CASE WHEN resolved_by_user_id IS NULL THEN 'alone' ELSE 'person' END AS who
      FROM discrepancies
     WHERE company_id = :company AND resolved_at >= :since AND resolved_at < :until
"""  # noqa: S608
_INBOX = f"""
    SELECT d.opened_at AS at, {_seconds("min(n.created_at)", "d.opened_at")} AS seconds
      FROM discrepancies d
      JOIN notifications n ON n.company_id = d.company_id AND n.type = d.type
           AND n.subject = 'appointment:' || d.appointment_id AND n.created_at >= d.opened_at
           AND (d.resolved_at IS NULL OR n.created_at <= d.resolved_at)
     WHERE d.company_id = :company AND d.opened_at >= :since AND d.opened_at < :until
     GROUP BY d.id, d.opened_at
"""  # noqa: S608
_SENDING = f"""
    SELECT finished_at AS at, {_seconds("finished_at", "created_at")} AS seconds
      FROM sendings
     WHERE company_id = :company AND finished_at >= :since AND finished_at < :until
       AND status = 'sent' AND pace = 'at_once'
"""  # noqa: S608

_QUEUE = f"""WITH candidates AS MATERIALIZED (
        SELECT opened_at, resolved_at FROM discrepancies
         WHERE company_id = :company AND resolved_at IS NULL
        UNION ALL
        SELECT opened_at, resolved_at FROM discrepancies
         WHERE company_id = :company AND resolved_at >= :since)
    {_INSERT}
    SELECT :company, :length, begins, 'queue', '', 0,
           coalesce(extract(epoch FROM ends - min(opened_at)), 0), count(opened_at)
      FROM (SELECT begins, least(:now, begins + :length * interval '1 second') AS ends
              FROM generate_series(CAST(:since AS timestamptz),
                                   CAST(:until AS timestamptz) - interval '1 second',
                                   :length * interval '1 second') AS begins) AS stretches
      LEFT JOIN candidates ON opened_at < ends AND (resolved_at IS NULL OR resolved_at >= ends)
     GROUP BY begins, ends"""  # noqa: S608

_RUNS = f"""{_INSERT}
    SELECT :company, :length, {_stretch("finished_at")}, 'run', scope || '/' || status, count(*),
           sum({_seconds("finished_at", "started_at")}),
           max({_seconds("finished_at", "started_at")})
      FROM runs WHERE company_id = :company AND finished_at >= :since AND finished_at < :until
     GROUP BY 3, 5"""  # noqa: S608
_COVERAGE = f"""{_INSERT}
    SELECT :company, :length, {_stretch("finished_at")}, 'coverage', key, sum(number), 0, 0
      FROM runs, LATERAL (VALUES
           ('seen', least(expected_count, agreed_count + healed_count)),
           ('expected', expected_count)) AS by_it (key, number)
     WHERE company_id = :company AND finished_at >= :since AND finished_at < :until
       AND scope <> 'delta' AND status = 'done'
     GROUP BY 3, 5"""  # noqa: S608

SOURCES = (
    COHORT,
    _counted(
        "history_events",
        "at",
        "'push'",
        "kind",
        "kind IN ('pushed', 'push_retries', 'push_failed')",
    ),
    _counted(
        "history_events",
        "at",
        "'error'",
        "coalesce(data->>'code', '?')",
        "kind IN ('push_retries', 'push_failed', 'verification_failed', 'mismatch', 'missing')",
    ),
    _counted("history_events", "at", "'verification_failed'", "''", "kind = 'verification_failed'"),
    _timed(_LATENCY, "latency"),
    _counted("discrepancies", "opened_at", "'found'", "type"),
    _timed(_SETTLED, "resolution", "settled", "who"),
    _QUEUE,
    _RUNS,
    _COVERAGE,
    _counted("deliveries", "received_at", "'delivery'", "status"),
    f"""{_INSERT}
        SELECT :company, :length, begins, 'change', key, count(*), 0, 0 FROM (
            SELECT {_stretch("received_at")} AS begins, 'announced' AS key FROM deliveries
             WHERE company_id = :company AND received_at >= :since AND received_at < :until
               AND status = 'applied' AND trigger IN ({_ANNOUNCING})
            UNION ALL
            SELECT {_stretch("changed_at")},
                   CASE WHEN was_announced THEN 'announced' ELSE 'missed' END
              FROM remote_changes
             WHERE company_id = :company AND changed_at >= :since AND changed_at < :until
               AND was_announced IS NOT NULL) AS changes
         GROUP BY 3, 5""",  # noqa: S608
    _timed(_INBOX, "inbox"),
    _timed(_SENDING, "sending"),
)

DAYS = f"""{_INSERT}
    SELECT :company, :day, date_trunc('day', begins_at, :zone), figure, key, sum(count),
           sum(total), max(peak)
      FROM rollups
     WHERE company_id = :company AND length_seconds = :hour AND begins_at >= :first
     GROUP BY 3, 4, 5"""  # noqa: S608
DAYS_OF_ANOTHER_ZONE = """
    SELECT EXISTS (SELECT FROM rollups WHERE company_id = :company AND length_seconds = :day
                      AND begins_at <> date_trunc('day', begins_at, :zone))"""
