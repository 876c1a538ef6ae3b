"""Indexes for the names in use, and for the neighbours of a resource in the order of their keys."""

from alembic import op

revision = "0005"
down_revision = "0004"

STATEMENTS = (
    "DROP INDEX IF EXISTS resource_relations_target",
    "CREATE INDEX resource_relations_target ON resource_relations (namespace, target, type, id)",
    "CREATE INDEX IF NOT EXISTS messages_sender ON messages (namespace, sender)",
    "CREATE INDEX IF NOT EXISTS context_key ON context (namespace, key)",
)
MANY = "1000000 1000000"
STATISTICS = {
    "resource_relations_target": ("resource_relations", f"{MANY} 10 5 1"),
    "messages_sender": ("messages", f"{MANY} 10000"),
    "context_key": ("context", f"{MANY} 10"),
}
"""For SQLite's planner, as in version 0004."""


def upgrade() -> None:
    """Make the indexes."""
    connection = op.get_bind()
    for statement in STATEMENTS:
        connection.exec_driver_sql(statement)
    if connection.dialect.name == "sqlite":
        for index, (table, figures) in STATISTICS.items():
            connection.exec_driver_sql("DELETE FROM sqlite_stat1 WHERE idx = ?", (index,))
            connection.exec_driver_sql(
                "INSERT INTO sqlite_stat1 (tbl, idx, stat) VALUES (?, ?, ?)",
                (table, index, figures),
            )
        connection.exec_driver_sql("ANALYZE sqlite_schema")  # has this connection read it
