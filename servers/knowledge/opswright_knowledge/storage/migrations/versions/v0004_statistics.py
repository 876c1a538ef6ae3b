"""Indexes of the change log by agent and kind; on SQLite, figures for the planner of statements.

SQLite's planner knows nothing of a table until `ANALYZE` has read all of it, and takes any column
for a good one then: at a million resources, all of one namespace, it reads them all to find one.
`sqlite_stat1` may be filled by hand instead (sqlite.org/lang_analyze.html), here as a large store
would have it: how many rows, then how many of them share the first column of the index, the first
two, and so on. A small store is quick in any order.
"""

from alembic import op

revision = "0004"
down_revision = "0003"

INDEXES = (
    "CREATE INDEX IF NOT EXISTS changes_agent ON changes (namespace, agent, revision)",
    "CREATE INDEX IF NOT EXISTS changes_kind ON changes (namespace, kind, revision)",
)
MANY = "1000000 1000000"
STATISTICS = {
    "sqlite_autoindex_changes_1": f"{MANY} 1",
    "changes_at": f"{MANY} 100",
    "changes_of": f"{MANY} 100000 5 1",
    "changes_agent": f"{MANY} 10000 1",
    "changes_kind": f"{MANY} 100000 1",
    "sqlite_autoindex_resources_1": f"{MANY} 10000 1",
    "resources_id": f"{MANY} 2",
    "resources_arn": f"{MANY} 2",
    "resources_region": f"{MANY} 100000 1000 1",
    "resources_account": f"{MANY} 100000 1000 1",
    "sqlite_autoindex_resource_tags_1": f"{MANY} 10000 5 1",
    "resource_tags_key": f"{MANY} 100000 1000 100 1",
    "sqlite_autoindex_resource_relations_1": f"{MANY} 10000 5 2 1",
    "resource_relations_id": f"{MANY} 5",
    "resource_relations_target": f"{MANY} 10",
    "sqlite_autoindex_memories_1": f"{MANY} 1",
    "memories_agent": f"{MANY} 10000 1",
    "memories_expires": f"{MANY} 100",
}


def upgrade() -> None:
    """Make the indexes, and tell SQLite what they are good for."""
    connection = op.get_bind()
    for statement in INDEXES:
        connection.exec_driver_sql(statement)
    if connection.dialect.name == "sqlite":
        connection.exec_driver_sql("ANALYZE sqlite_schema")  # makes the table, reads no other
        connection.exec_driver_sql("DELETE FROM sqlite_stat1")
        connection.exec_driver_sql(
            "INSERT INTO sqlite_stat1 (tbl, idx, stat) "
            "SELECT tbl_name, name, ? FROM sqlite_schema WHERE type = 'index' AND name = ?",
            [(figures, index) for index, figures in STATISTICS.items()],
        )
        connection.exec_driver_sql("ANALYZE sqlite_schema")  # has this connection read it
