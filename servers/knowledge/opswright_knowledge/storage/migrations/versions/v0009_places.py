"""Indexes for places that were deployed to, and for an agent's changes and memories of a kind."""

from alembic import op

revision = "0009"
down_revision = "0008"

STATEMENTS = (
    "DROP INDEX IF EXISTS changes_agent",
    "CREATE INDEX changes_agent ON changes (namespace, agent, kind, revision)",
    "DROP INDEX IF EXISTS memories_agent",
    "DROP INDEX IF EXISTS memories_newest",
    "DROP INDEX IF EXISTS memories_kind",
    "CREATE INDEX memories_agent ON memories (namespace, agent, kind, revision)",
    "CREATE INDEX memories_kind ON memories (namespace, kind, revision)",
    "DROP INDEX IF EXISTS deployments_in",
    "CREATE INDEX deployments_in ON deployments (namespace, environment, application)",
)
MANY = "1000000 1000000"
STATISTICS = {
    "changes_agent": ("changes", f"{MANY} 10000 5000 1"),
    "memories_agent": ("memories", f"{MANY} 10000 5000 1"),
    "memories_kind": ("memories", f"{MANY} 250000 1"),
    "deployments_in": ("deployments", f"{MANY} 100000 1000"),
}
"""For SQLite's planner, as in version 0004."""


def upgrade() -> None:
    """Make the indexes."""
    connection = op.get_bind()
    for statement in STATEMENTS:
        connection.exec_driver_sql(statement)
    if connection.dialect.name == "sqlite":
        connection.exec_driver_sql("DELETE FROM sqlite_stat1 WHERE idx = 'memories_newest'")
        for index, (table, figures) in STATISTICS.items():
            connection.exec_driver_sql("DELETE FROM sqlite_stat1 WHERE idx = ?", (index,))
            connection.exec_driver_sql(
                "INSERT INTO sqlite_stat1 (tbl, idx, stat) VALUES (?, ?, ?)",
                (table, index, figures),
            )
        connection.exec_driver_sql("ANALYZE sqlite_schema")  # has this connection read it
