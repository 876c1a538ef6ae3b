"""Brings a database to the schema that this server knows; forward only."""

from pathlib import Path

from sqlalchemy import Connection, Engine, inspect, text

from opswright_core.errors import OpswrightError
from opswright_knowledge.storage.dialect import Dialect
from opswright_knowledge.storage.schema import VERSIONS


def upgrade(engine: Engine, dialect: Dialect) -> None:
    """Apply the migrations that a database has yet to see, all or none, in one process at a time.

    Raises OpswrightError when the database is of a version that this server does not know.
    """
    with engine.connect().execution_options(**dialect.reading()) as connection, connection.begin():
        if _is_current(connection, dialect):
            return
    with engine.connect().execution_options(**dialect.writing()) as connection, connection.begin():
        dialect.lock_schema(connection)
        if _is_current(connection, dialect):  # another process may just have done it
            return
        if not dialect.create(connection):
            _migrate(connection, VERSIONS[-1])


def _is_current(connection: Connection, dialect: Dialect) -> bool:
    if not inspect(connection).has_table("alembic_version"):
        return False
    version = connection.execute(text("SELECT version_num FROM alembic_version")).scalar()
    if version is not None and version not in VERSIONS:
        raise OpswrightError(
            f"The knowledge store {dialect.where} has schema version {version}; this server knows "
            f"{VERSIONS[0]} to {VERSIONS[-1]}. Upgrade opswright-knowledge, or set "
            "OPSWRIGHT_KNOWLEDGE_URL to another database."
        )
    return bool(version == VERSIONS[-1])


def _migrate(connection: Connection, version: str) -> None:
    import logging

    from alembic import command
    from alembic.config import Config

    logging.getLogger("alembic").setLevel(logging.WARNING)
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).with_name("migrations")))
    config.set_main_option("path_separator", "os")
    config.attributes["connection"] = connection
    command.upgrade(config, version)
