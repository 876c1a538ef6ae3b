"""Which messages to all a reader is done with, as ranges of revisions; see `broadcasts.py`."""

from alembic import op

revision = "0010"
down_revision = "0009"

FILL = """
INSERT INTO broadcasts_read (namespace, reader, first_revision, last_revision)
SELECT namespace, reader, min(revision), max(revision) FROM (
    SELECT done.namespace, done.reader, sent.revision, sent.place - row_number() OVER
        (PARTITION BY done.namespace, done.reader ORDER BY sent.revision) AS spell
    FROM (
        SELECT namespace, message_id, reader FROM acknowledgements
        UNION SELECT namespace, message_id, sender FROM messages WHERE recipient = '*'
    ) AS done
    JOIN (
        SELECT namespace, message_id, revision, row_number() OVER
            (PARTITION BY namespace ORDER BY revision) AS place
        FROM messages WHERE recipient = '*'
    ) AS sent ON sent.namespace = done.namespace AND sent.message_id = done.message_id
) AS each_one
GROUP BY namespace, reader, spell
"""
"""Within a range, places among all messages and among those that are read grow alike."""


def upgrade() -> None:
    """Make the table, and fill it from the acknowledgements."""
    connection = op.get_bind()
    is_sqlite = connection.dialect.name == "sqlite"
    number, collation = ("INTEGER", "") if is_sqlite else ("BIGINT", 'COLLATE "C"')
    connection.exec_driver_sql("DROP TABLE IF EXISTS broadcasts_read")
    connection.exec_driver_sql(
        f"CREATE TABLE broadcasts_read (namespace {number} NOT NULL, reader TEXT {collation} "
        "NOT NULL, first_revision BIGINT NOT NULL, last_revision BIGINT NOT NULL, "
        "PRIMARY KEY (namespace, reader, first_revision))"
    )
    connection.exec_driver_sql(FILL)
    if is_sqlite:
        connection.exec_driver_sql(
            "INSERT INTO sqlite_stat1 (tbl, idx, stat) VALUES "
            "('broadcasts_read', 'sqlite_autoindex_broadcasts_read_1', '1000000 1000000 1000 1')"
        )
        connection.exec_driver_sql("ANALYZE sqlite_schema")  # has this connection read it
