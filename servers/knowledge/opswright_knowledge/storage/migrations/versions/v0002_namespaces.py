# ruff: noqa: S608 - every part of a statement is in this file
"""Namespaces, steps, old values in the change log, and full text of resources; PostgreSQL too."""

import re
import unicodedata
from collections.abc import Iterator

from alembic import op
from sqlalchemy import Connection

revision = "0002"
down_revision = "0001"

TABLES = """
CREATE TABLE namespaces (number {serial} PRIMARY KEY, name {text} NOT NULL UNIQUE,
    revision BIGINT NOT NULL);
CREATE TABLE changes (namespace {number} NOT NULL, revision BIGINT NOT NULL, kind {text} NOT NULL,
    key {text} NOT NULL, operation {text} NOT NULL, at {text} NOT NULL, agent {text} NOT NULL,
    run_id {text}, step {text}, before JSON, PRIMARY KEY (namespace, revision));
CREATE INDEX changes_at ON changes (namespace, at);
CREATE INDEX changes_of ON changes (namespace, kind, key, revision);
CREATE TABLE resources (number {serial} PRIMARY KEY, namespace {number} NOT NULL,
    type {text} NOT NULL, id {text} NOT NULL, arn {text} NOT NULL, account {text} NOT NULL,
    region {text} NOT NULL, name {text} NOT NULL, status {text} NOT NULL, attributes JSON NOT NULL,
    tags JSON NOT NULL, relations JSON NOT NULL, {origin}, seen_at {text} NOT NULL,
    deleted_at {text}, CONSTRAINT resources_key UNIQUE (namespace, type, id));
CREATE INDEX resources_id ON resources (namespace, id);
CREATE INDEX resources_arn ON resources (namespace, arn);
CREATE INDEX resources_region ON resources (namespace, region, type, id);
CREATE INDEX resources_account ON resources (namespace, account, type, id);
CREATE TABLE resource_counts (namespace {number} NOT NULL, type {text} NOT NULL,
    living BIGINT NOT NULL, PRIMARY KEY (namespace, type));
CREATE TABLE resource_tags (namespace {number} NOT NULL, type {text} NOT NULL, id {text} NOT NULL,
    key {text} NOT NULL, value {text} NOT NULL, PRIMARY KEY (namespace, type, id, key));
CREATE INDEX resource_tags_key ON resource_tags (namespace, key, value, type, id);
CREATE TABLE resource_relations (namespace {number} NOT NULL, type {text} NOT NULL,
    id {text} NOT NULL, kind {text} NOT NULL, target {text} NOT NULL,
    PRIMARY KEY (namespace, type, id, kind, target));
CREATE INDEX resource_relations_id ON resource_relations (namespace, id);
CREATE INDEX resource_relations_target ON resource_relations (namespace, target);
CREATE TABLE deployments (namespace {number} NOT NULL, deployment_id {text} NOT NULL,
    first_revision BIGINT NOT NULL, application {text} NOT NULL, environment {text} NOT NULL,
    version {text} NOT NULL, status {text} NOT NULL, "commit" {text} NOT NULL,
    artifact_sha256 {text} NOT NULL, strategy {text} NOT NULL, rollback_target {text},
    attributes JSON NOT NULL, started_at {text} NOT NULL, {origin},
    PRIMARY KEY (namespace, deployment_id),
    CONSTRAINT deployments_order UNIQUE (namespace, first_revision));
CREATE INDEX deployments_where
    ON deployments (namespace, application, environment, first_revision);
CREATE TABLE memories (number {serial} PRIMARY KEY, namespace {number} NOT NULL,
    memory_id {text} NOT NULL, agent {text} NOT NULL, kind {text} NOT NULL, text {text} NOT NULL,
    importance FLOAT NOT NULL, expires_at {text}, {origin},
    CONSTRAINT memories_key UNIQUE (namespace, memory_id));
CREATE INDEX memories_agent ON memories (namespace, agent, revision);
CREATE INDEX memories_expires ON memories (namespace, expires_at);
CREATE TABLE context (namespace {number} NOT NULL, scope {text} NOT NULL, key {text} NOT NULL,
    value JSON NOT NULL, {origin}, PRIMARY KEY (namespace, scope, key));
CREATE TABLE messages (namespace {number} NOT NULL, message_id {text} NOT NULL,
    sender {text} NOT NULL, recipient {text} NOT NULL, intent {text} NOT NULL,
    content {text} NOT NULL, data JSON NOT NULL, thread {text} NOT NULL, in_reply_to {text},
    {origin}, PRIMARY KEY (namespace, message_id));
CREATE INDEX messages_recipient ON messages (namespace, recipient, revision);
CREATE INDEX messages_thread ON messages (namespace, thread, revision);
CREATE TABLE acknowledgements (namespace {number} NOT NULL, message_id {text} NOT NULL,
    reader {text} NOT NULL, at {text} NOT NULL, PRIMARY KEY (namespace, message_id, reader));
CREATE TABLE runs (namespace {number} NOT NULL, run_id {text} NOT NULL,
    first_revision BIGINT NOT NULL, goal {text} NOT NULL, status {text} NOT NULL, "plan" JSON,
    steps JSON, report JSON, started_at {text} NOT NULL, revision BIGINT NOT NULL,
    recorded_by {text} NOT NULL, step {text}, at {text} NOT NULL, PRIMARY KEY (namespace, run_id),
    CONSTRAINT runs_order UNIQUE (namespace, first_revision))
"""
ORIGIN = """revision BIGINT NOT NULL, recorded_by {text} NOT NULL, run_id {text}, step {text},
    at {text} NOT NULL"""
TYPES = {
    "sqlite": {"serial": "INTEGER NOT NULL", "number": "INTEGER", "text": "TEXT"},
    "postgresql": {"serial": "BIGSERIAL", "number": "BIGINT", "text": 'TEXT COLLATE "C"'},
}

FULL_TEXT = {
    "sqlite": """
CREATE VIRTUAL TABLE memory_words USING fts5(words, tokenize='porter unicode61');
CREATE VIRTUAL TABLE resource_words USING fts5(words, tokenize='unicode61')
""",
    # FTS5's stemmer, and no stop words: both databases find alike.
    "postgresql": """
CREATE TEXT SEARCH DICTIONARY opswright_stem (TEMPLATE = snowball, LANGUAGE = porter);
CREATE TEXT SEARCH CONFIGURATION opswright_words (COPY = simple);
ALTER TEXT SEARCH CONFIGURATION opswright_words ALTER MAPPING REPLACE simple WITH opswright_stem;
CREATE TABLE memory_words (number BIGINT PRIMARY KEY, words TSVECTOR NOT NULL,
    length INTEGER NOT NULL);
CREATE INDEX memory_words_gin ON memory_words USING gin (words);
CREATE TABLE resource_words (number BIGINT PRIMARY KEY, words TSVECTOR NOT NULL);
CREATE INDEX resource_words_gin ON resource_words USING gin (words)
""",
}

OLD_INDEXES = (
    "ix_changes_at", "ix_resources_arn", "resources_id", "resource_tags_key",
    "resource_relations_target", "resource_relations_id", "deployments_where",
    "ix_memories_expires_at", "ix_memories_agent", "messages_recipient",
)  # fmt: skip
OLD_TABLES = (
    "state", "changes", "resources", "resource_tags", "resource_relations", "deployments",
    "memories", "context", "messages", "acknowledgements", "runs",
)  # fmt: skip
_STEP = """(SELECT c.step FROM old_changes c WHERE c.revision = o.revision)"""
COPIES = (
    "INSERT INTO namespaces (number, name, revision) SELECT 1, 'default', revision FROM old_state",
    "INSERT INTO changes SELECT 1, o.*, NULL FROM old_changes o",
    "INSERT INTO resources SELECT NULL, 1, type, id, arn, account, region, name, status, "
    f"attributes, tags, relations, revision, recorded_by, run_id, {_STEP}, at, seen_at, "
    "deleted_at FROM old_resources o ORDER BY type, id",
    "INSERT INTO resource_counts SELECT 1, type, count(*) FROM resources "
    "WHERE deleted_at IS NULL GROUP BY type",
    "INSERT INTO resource_tags SELECT 1, o.* FROM old_resource_tags o",
    "INSERT INTO resource_relations SELECT 1, o.* FROM old_resource_relations o",
    "INSERT INTO deployments SELECT 1, deployment_id, first_revision, application, environment, "
    'version, status, "commit", artifact_sha256, strategy, rollback_target, attributes, '
    f"started_at, revision, recorded_by, run_id, {_STEP}, at FROM old_deployments o",
    "INSERT INTO memories SELECT number, 1, memory_id, agent, kind, text, importance, expires_at, "
    f"revision, recorded_by, run_id, {_STEP}, at FROM old_memories o",
    "INSERT INTO context SELECT 1, scope, key, value, revision, recorded_by, run_id, "
    f"{_STEP}, at FROM old_context o",
    "INSERT INTO messages SELECT 1, message_id, sender, recipient, intent, content, data, thread, "
    f"in_reply_to, revision, recorded_by, run_id, {_STEP}, at FROM old_messages o",
    "INSERT INTO acknowledgements SELECT 1, o.* FROM old_acknowledgements o",
    'INSERT INTO runs SELECT 1, run_id, first_revision, goal, status, "plan", steps, report, '
    f"started_at, revision, recorded_by, {_STEP}, at FROM old_runs o",
)


def upgrade() -> None:
    """Make the new tables; on SQLite, which had the first version, fill them from the old ones."""
    connection = op.get_bind()
    name = connection.dialect.name
    if name == "sqlite":
        _run(connection, [f"DROP INDEX {index}" for index in OLD_INDEXES])
        _run(connection, [f"ALTER TABLE {table} RENAME TO old_{table}" for table in OLD_TABLES])
        _run(connection, ["DROP TABLE memory_words"])
    types = TYPES[name]
    tables = TABLES.replace("{origin}", ORIGIN).format(**types)
    _run(connection, [*tables.split(";"), *FULL_TEXT[name].split(";")])
    if name == "sqlite":
        _run(connection, COPIES)
        _index(connection, "memory_words", "SELECT number, text FROM memories")
        _index(
            connection,
            "resource_words",
            "SELECT n.number, o.words FROM old_resources o "
            "JOIN resources n ON n.type = o.type AND n.id = o.id",
        )
        _run(connection, [f"DROP TABLE old_{table}" for table in OLD_TABLES])


def _run(connection: Connection, statements: "tuple[str, ...] | list[str]") -> None:
    for statement in statements:
        connection.exec_driver_sql(statement)


def _index(connection: Connection, table: str, asked: str) -> None:
    cursor = connection.exec_driver_sql(asked)
    while rows := cursor.fetchmany(1000):
        connection.exec_driver_sql(
            f"INSERT INTO {table} (rowid, words) VALUES (?, ?)",
            [(number, " ".join(_words(text))) for number, text in rows],
        )


def _words(text: str) -> Iterator[str]:
    apart = unicodedata.normalize("NFKD", text)
    plain = "".join(char for char in apart if not unicodedata.combining(char)).lower()
    return (f"1q{word[:64]}" for word in re.findall(r"[^\W_]+", plain))
