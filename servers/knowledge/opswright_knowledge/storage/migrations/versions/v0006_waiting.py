"""Indexes for deployments and waiting messages; long tag values are looked up by a digest.

What is asked often is told from an index alone then, however much there is. PostgreSQL takes no
entry of an index beyond a third of a page, so that a tag's value must not be long there.
"""

from alembic import op
from sqlalchemy import inspect, text

from opswright_knowledge.storage.lookup import LONGEST, looked_up

revision = "0006"
down_revision = "0005"

INDEXES = {
    "deployments_application": "deployments (namespace, application, first_revision)",
    "deployments_environment": "deployments (namespace, environment, first_revision)",
    "deployments_status": "deployments (namespace, status, first_revision)",
    "context_at": "context (namespace, scope, at)",
    "memories_newest": "memories (namespace, revision)",
    "messages_unread": "messages (namespace, recipient, revision) WHERE read_at IS NULL",
}
MANY = "1000000 1000000"
STATISTICS = {
    "sqlite_autoindex_deployments_1": f"{MANY} 1",
    "sqlite_autoindex_deployments_2": f"{MANY} 1",
    "deployments_where": f"{MANY} 10000 1000 1",
    "deployments_application": f"{MANY} 10000 1",
    "deployments_environment": f"{MANY} 100000 1",
    "deployments_status": f"{MANY} 100000 1",
    "sqlite_autoindex_context_1": f"{MANY} 10000 1",
    "context_at": f"{MANY} 10000 100",
    "memories_newest": f"{MANY} 1",
    "sqlite_autoindex_messages_1": f"{MANY} 1",
    "messages_recipient": f"{MANY} 10000 1",
    "messages_unread": "10000 10000 100 1",
    "messages_thread": f"{MANY} 10 1",
    "sqlite_autoindex_acknowledgements_1": f"{MANY} 2 1",
}


def upgrade() -> None:
    """Make the indexes and what they need."""
    connection = op.get_bind()
    collation = 'COLLATE "C"' if connection.dialect.name == "postgresql" else ""
    if "read_at" not in {column["name"] for column in inspect(connection).get_columns("messages")}:
        connection.exec_driver_sql(f"ALTER TABLE messages ADD COLUMN read_at TEXT {collation}")
    connection.exec_driver_sql(
        "UPDATE messages SET read_at = (SELECT a.at FROM acknowledgements a WHERE "
        "a.namespace = messages.namespace AND a.message_id = messages.message_id "
        "AND a.reader = messages.recipient) WHERE recipient <> '*'"
    )
    for index, columns in INDEXES.items():
        connection.exec_driver_sql(f"CREATE INDEX IF NOT EXISTS {index} ON {columns}")
    _shorten_tags()
    if connection.dialect.name == "sqlite":
        connection.exec_driver_sql(
            "DELETE FROM sqlite_stat1 WHERE idx = ?", [(index,) for index in STATISTICS]
        )
        connection.exec_driver_sql(
            "INSERT INTO sqlite_stat1 (tbl, idx, stat) "
            "SELECT tbl_name, name, ? FROM sqlite_schema WHERE type = 'index' AND name = ?",
            [(figures, index) for index, figures in STATISTICS.items()],
        )
        connection.exec_driver_sql("ANALYZE sqlite_schema")  # has this connection read it


def _shorten_tags() -> None:
    connection = op.get_bind()
    asked = text(
        "SELECT namespace, type, id, key, value FROM resource_tags WHERE length(value) > :longest"
    )
    change = text(
        "UPDATE resource_tags SET value = :short WHERE namespace = :namespace AND type = :type "
        "AND id = :id AND key = :key"
    )
    rows = connection.execute(asked, {"longest": LONGEST}).mappings().all()
    for row in rows:
        connection.execute(change, {**row, "short": looked_up(row["value"])})
