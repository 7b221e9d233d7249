"""The role that serves must be one that row-level security binds (S12.1)."""

from sqlalchemy import Connection, text

_QUESTIONS = text(
    """
    SELECT rolsuper AS is_superuser, rolbypassrls AS bypasses,
           EXISTS (SELECT 1 FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
                    WHERE n.nspname = 'public' AND c.relkind IN ('r', 'p')
                      AND pg_has_role(current_user, c.relowner, 'USAGE')) AS is_owner
      FROM pg_roles WHERE rolname = current_user
    """
)


def objection_to_role(connection: Connection) -> str | None:
    """Why this connection's role must not serve; None where it may."""
    role = connection.execute(_QUESTIONS).one()
    if role.is_superuser:
        return "is a superuser"
    if role.bypasses:
        return "has BYPASSRLS"
    if role.is_owner:
        return "owns tables, or is a member of a role that does"
    return None
