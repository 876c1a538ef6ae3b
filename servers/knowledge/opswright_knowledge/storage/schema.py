"""The tables. Portable SQL; what a dialect does in its own way is in `dialect.py`.

Times are ISO 8601 in UTC, as text, so that they sort alike everywhere. Every record carries the
`revision` of its last write; `state.revision` is the store's latest. It is a locked row, not a
sequence, so that revisions become visible in their order and a reader of the change log never
misses one.
"""

from typing import Any

from sqlalchemy import JSON, Column, Float, Index, Integer, MetaData, String, Table

SCHEMA_VERSION = 1

metadata = MetaData()


def _origin() -> list[Column[Any]]:
    return [
        Column("revision", Integer, nullable=False),
        Column("recorded_by", String, nullable=False),
        Column("run_id", String),
        Column("at", String, nullable=False),
    ]


state = Table(
    "state",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=False),
    Column("schema_version", Integer, nullable=False),
    Column("revision", Integer, nullable=False),
)

changes = Table(
    "changes",
    metadata,
    Column("revision", Integer, primary_key=True, autoincrement=False),
    Column("kind", String, nullable=False),
    Column("key", String, nullable=False),
    Column("operation", String, nullable=False),
    Column("at", String, nullable=False, index=True),
    Column("agent", String, nullable=False),
    Column("run_id", String),
    Column("step", String),
)

resources = Table(
    "resources",
    metadata,
    Column("type", String, primary_key=True),
    Column("id", String, primary_key=True),
    Column("arn", String, nullable=False, index=True),
    Column("account", String, nullable=False),
    Column("region", String, nullable=False),
    Column("name", String, nullable=False),
    Column("status", String, nullable=False),
    Column("attributes", JSON, nullable=False),
    Column("tags", JSON, nullable=False),
    Column("relations", JSON, nullable=False),
    Column("words", String, nullable=False),  # what `query` looks in, in lower case
    *_origin(),
    Column("seen_at", String, nullable=False),
    Column("deleted_at", String),
    Index("resources_id", "id"),
)

resource_tags = Table(  # the tags of `resources`, for looking up
    "resource_tags",
    metadata,
    Column("type", String, primary_key=True),
    Column("id", String, primary_key=True),
    Column("key", String, primary_key=True),
    Column("value", String, nullable=False),
    Index("resource_tags_key", "key", "value"),
)

resource_relations = Table(  # the relations of `resources`, for walking both ways
    "resource_relations",
    metadata,
    Column("type", String, primary_key=True),
    Column("id", String, primary_key=True),
    Column("kind", String, primary_key=True),
    Column("target", String, primary_key=True),
    Index("resource_relations_id", "id"),
    Index("resource_relations_target", "target"),
)

deployments = Table(
    "deployments",
    metadata,
    Column("deployment_id", String, primary_key=True),
    Column("first_revision", Integer, nullable=False, unique=True),
    Column("application", String, nullable=False),
    Column("environment", String, nullable=False),
    Column("version", String, nullable=False),
    Column("status", String, nullable=False),
    Column("commit", String, nullable=False),
    Column("artifact_sha256", String, nullable=False),
    Column("strategy", String, nullable=False),
    Column("rollback_target", String),
    Column("attributes", JSON, nullable=False),
    Column("started_at", String, nullable=False),
    *_origin(),
    Index("deployments_where", "application", "environment", "first_revision"),
)

memories = Table(
    "memories",
    metadata,
    Column("number", Integer, primary_key=True),
    Column("memory_id", String, nullable=False, unique=True),
    Column("agent", String, nullable=False, index=True),
    Column("kind", String, nullable=False),
    Column("text", String, nullable=False),
    Column("importance", Float, nullable=False),
    Column("expires_at", String, index=True),
    *_origin(),
)

context = Table(
    "context",
    metadata,
    Column("scope", String, primary_key=True),
    Column("key", String, primary_key=True),
    Column("value", JSON, nullable=False),
    *_origin(),
)

messages = Table(
    "messages",
    metadata,
    Column("message_id", String, primary_key=True),
    Column("sender", String, nullable=False),
    Column("recipient", String, nullable=False),
    Column("intent", String, nullable=False),
    Column("content", String, nullable=False),
    Column("data", JSON, nullable=False),
    Column("thread", String, nullable=False),
    Column("in_reply_to", String),
    *_origin(),
    Index("messages_recipient", "recipient", "revision"),
)

acknowledgements = Table(
    "acknowledgements",
    metadata,
    Column("message_id", String, primary_key=True),
    Column("reader", String, primary_key=True),
    Column("at", String, nullable=False),
)

runs = Table(
    "runs",
    metadata,
    Column("run_id", String, primary_key=True),
    Column("first_revision", Integer, nullable=False, unique=True),
    Column("goal", String, nullable=False),
    Column("status", String, nullable=False),
    Column("plan", JSON(none_as_null=True)),
    Column("steps", JSON(none_as_null=True)),
    Column("report", JSON(none_as_null=True)),
    Column("started_at", String, nullable=False),
    *(column for column in _origin() if column.name != "run_id"),
)
