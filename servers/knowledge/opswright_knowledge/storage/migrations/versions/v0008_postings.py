"""On PostgreSQL, words are found by rows of (word, number), in the order of numbers."""

from alembic import op

revision = "0008"
down_revision = "0006"

INDEXES = ("memory_words", "resource_words")


def upgrade() -> None:
    """Make the rows of all that is there; SQLite's word index stays as it is."""
    connection = op.get_bind()
    if connection.dialect.name != "postgresql":
        return
    for index in INDEXES:
        held = f"{index}_held"
        connection.exec_driver_sql(f"DROP INDEX IF EXISTS {index}_gin")
        connection.exec_driver_sql(f"DROP TABLE IF EXISTS {held}")
        connection.exec_driver_sql(
            f'CREATE TABLE {held} (word TEXT COLLATE "C" NOT NULL, number BIGINT NOT NULL)'
        )
        connection.exec_driver_sql(
            f"INSERT INTO {held} SELECT lexeme, number "  # noqa: S608
            f"FROM {index}, unnest(tsvector_to_array(words)) AS lexeme ORDER BY number"
        )
        connection.exec_driver_sql(f"ALTER TABLE {held} ADD PRIMARY KEY (word, number)")
