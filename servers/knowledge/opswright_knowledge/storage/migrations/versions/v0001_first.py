"""The first version, SQLite alone. Its servers made the tables without saying so to Alembic."""

from alembic import op
from sqlalchemy import inspect

revision = "0001"
down_revision = None

TABLES = """
CREATE TABLE state (id INTEGER NOT NULL, schema_version INTEGER NOT NULL,
    revision INTEGER NOT NULL, PRIMARY KEY (id));
CREATE TABLE changes (revision INTEGER NOT NULL, kind VARCHAR NOT NULL, "key" VARCHAR NOT NULL,
    operation VARCHAR NOT NULL, at VARCHAR NOT NULL, agent VARCHAR NOT NULL, run_id VARCHAR,
    step VARCHAR, PRIMARY KEY (revision));
CREATE INDEX ix_changes_at ON changes (at);
CREATE TABLE resources (type VARCHAR NOT NULL, id VARCHAR NOT NULL, arn VARCHAR NOT NULL,
    account VARCHAR NOT NULL, region VARCHAR NOT NULL, name VARCHAR NOT NULL,
    status VARCHAR NOT NULL, attributes JSON NOT NULL, tags JSON NOT NULL,
    relations JSON NOT NULL, words VARCHAR NOT NULL, revision INTEGER NOT NULL,
    recorded_by VARCHAR NOT NULL, run_id VARCHAR, at VARCHAR NOT NULL, seen_at VARCHAR NOT NULL,
    deleted_at VARCHAR, PRIMARY KEY (type, id));
CREATE INDEX ix_resources_arn ON resources (arn);
CREATE INDEX resources_id ON resources (id);
CREATE TABLE resource_tags (type VARCHAR NOT NULL, id VARCHAR NOT NULL, "key" VARCHAR NOT NULL,
    value VARCHAR NOT NULL, PRIMARY KEY (type, id, "key"));
CREATE INDEX resource_tags_key ON resource_tags ("key", value);
CREATE TABLE resource_relations (type VARCHAR NOT NULL, id VARCHAR NOT NULL, kind VARCHAR NOT NULL,
    target VARCHAR NOT NULL, PRIMARY KEY (type, id, kind, target));
CREATE INDEX resource_relations_target ON resource_relations (target);
CREATE INDEX resource_relations_id ON resource_relations (id);
CREATE TABLE deployments (deployment_id VARCHAR NOT NULL, first_revision INTEGER NOT NULL,
    application VARCHAR NOT NULL, environment VARCHAR NOT NULL, version VARCHAR NOT NULL,
    status VARCHAR NOT NULL, "commit" VARCHAR NOT NULL, artifact_sha256 VARCHAR NOT NULL,
    strategy VARCHAR NOT NULL, rollback_target VARCHAR, attributes JSON NOT NULL,
    started_at VARCHAR NOT NULL, revision INTEGER NOT NULL, recorded_by VARCHAR NOT NULL,
    run_id VARCHAR, at VARCHAR NOT NULL, PRIMARY KEY (deployment_id), UNIQUE (first_revision));
CREATE INDEX deployments_where ON deployments (application, environment, first_revision);
CREATE TABLE memories (number INTEGER NOT NULL, memory_id VARCHAR NOT NULL, agent VARCHAR NOT NULL,
    kind VARCHAR NOT NULL, text VARCHAR NOT NULL, importance FLOAT NOT NULL, expires_at VARCHAR,
    revision INTEGER NOT NULL, recorded_by VARCHAR NOT NULL, run_id VARCHAR, at VARCHAR NOT NULL,
    PRIMARY KEY (number), UNIQUE (memory_id));
CREATE INDEX ix_memories_expires_at ON memories (expires_at);
CREATE INDEX ix_memories_agent ON memories (agent);
CREATE TABLE context (scope VARCHAR NOT NULL, "key" VARCHAR NOT NULL, value JSON NOT NULL,
    revision INTEGER NOT NULL, recorded_by VARCHAR NOT NULL, run_id VARCHAR, at VARCHAR NOT NULL,
    PRIMARY KEY (scope, "key"));
CREATE TABLE messages (message_id VARCHAR NOT NULL, sender VARCHAR NOT NULL,
    recipient VARCHAR NOT NULL, intent VARCHAR NOT NULL, content VARCHAR NOT NULL,
    data JSON NOT NULL, thread VARCHAR NOT NULL, in_reply_to VARCHAR, revision INTEGER NOT NULL,
    recorded_by VARCHAR NOT NULL, run_id VARCHAR, at VARCHAR NOT NULL, PRIMARY KEY (message_id));
CREATE INDEX messages_recipient ON messages (recipient, revision);
CREATE TABLE acknowledgements (message_id VARCHAR NOT NULL, reader VARCHAR NOT NULL,
    at VARCHAR NOT NULL, PRIMARY KEY (message_id, reader));
CREATE TABLE runs (run_id VARCHAR NOT NULL, first_revision INTEGER NOT NULL, goal VARCHAR NOT NULL,
    status VARCHAR NOT NULL, "plan" JSON, steps JSON, report JSON, started_at VARCHAR NOT NULL,
    revision INTEGER NOT NULL, recorded_by VARCHAR NOT NULL, at VARCHAR NOT NULL,
    PRIMARY KEY (run_id), UNIQUE (first_revision));
CREATE VIRTUAL TABLE memory_words USING fts5(text, tokenize='porter unicode61');
INSERT INTO state VALUES (1, 1, 0)
"""


def upgrade() -> None:
    """Make the tables, or take over those that are there."""
    connection = op.get_bind()
    if connection.dialect.name == "sqlite" and not inspect(connection).has_table("state"):
        for statement in TABLES.split(";"):
            connection.exec_driver_sql(statement)
