# ruff: noqa: S608 - every part of a statement is in this file
"""A `/` or `%` in all but the last part of a change's key is encoded: no two records share a key.

Only keys of records that are still there are brought over; of what was removed, nobody can tell any
more where a part ended.
"""

from alembic import op
from sqlalchemy import text

revision = "0003"
down_revision = "0002"

PARTS = {
    "resource": ("resources", ("type", "id")),
    "deployment": ("deployments", ("application", "environment", "deployment_id")),
    "memory": ("memories", ("agent", "memory_id")),
    "message": ("messages", ("recipient", "message_id")),
    "context": ("context", ("scope", "key")),
}


def upgrade() -> None:
    """Rewrite the keys that change."""
    connection = op.get_bind()
    change = text("UPDATE changes SET key = :new WHERE namespace = :n AND kind = :k AND key = :old")
    for kind, (table, columns) in PARTS.items():
        odd = " OR ".join(
            f"{column} LIKE :slash OR {column} LIKE :percent ESCAPE '!'" for column in columns[:-1]
        )
        asked = text(f"SELECT namespace, {', '.join(columns)} FROM {table} WHERE {odd}")
        rows = connection.execute(asked, {"slash": "%/%", "percent": "%!%%"}).all()
        for number, *parts in rows:
            leading = [part.replace("%", "%25").replace("/", "%2F") for part in parts[:-1]]
            old, new = "/".join(parts), "/".join([*leading, parts[-1]])
            connection.execute(change, {"new": new, "n": number, "k": kind, "old": old})
