"""The tables. Portable SQL; what a database does in its own way is in its dialect's module.

Times are ISO 8601 in UTC, as text, so that they sort alike everywhere, as all text does (binary
collation). Every record belongs to a namespace and carries the `revision` of its last write.

`namespaces.revision` is the latest of a namespace. A writer locks that row before it reads anything
and until it commits, so that writers of a namespace follow each other: what is compared cannot
change before it is set, and revisions become visible in their order, so that a reader of the change
log never misses one that appears late. A sequence would give neither.

A change here needs a migration: a new file in `migrations/versions`, and its number in `VERSIONS`.
"""

from typing import Any

from sqlalchemy import (
    JSON,
    BigInteger,
    Column,
    ColumnElement,
    Float,
    Index,
    Integer,
    MetaData,
    Table,
    Text,
    UniqueConstraint,
    bindparam,
    text,
)

VERSIONS = ("0001", "0002", "0003", "0004", "0005", "0006", "0008", "0009", "0010")
"""The versions of the schema, oldest first."""

TEXT = Text().with_variant(Text(collation="C"), "postgresql")
NUMBER = BigInteger().with_variant(Integer, "sqlite")
OPTIONAL_JSON = JSON(none_as_null=True)

metadata = MetaData()


def _namespace(*, key: bool = True) -> Column[Any]:
    return Column("namespace", NUMBER, nullable=False, primary_key=key, autoincrement=False)


def _key(name: str) -> Column[Any]:
    return Column(name, TEXT, primary_key=True)


def _text(name: str, *, optional: bool = False) -> Column[Any]:
    return Column(name, TEXT, nullable=optional)


def _origin(*, run_id: bool = True) -> list[Column[Any]]:
    return [
        Column("revision", BigInteger, nullable=False),
        _text("recorded_by"),
        *([_text("run_id", optional=True)] if run_id else []),
        _text("step", optional=True),
        _text("at"),
    ]


def owned(table: Table) -> ColumnElement[bool]:
    """Whether a row is of the namespace that `UnitOfWork.run` names, for statements made once."""
    return table.c.namespace == bindparam("own_namespace")


namespaces = Table(
    "namespaces",
    metadata,
    Column("number", NUMBER, primary_key=True),
    Column("name", TEXT, nullable=False, unique=True),
    Column("revision", BigInteger, nullable=False),
)

changes = Table(
    "changes",
    metadata,
    _namespace(),
    Column("revision", BigInteger, primary_key=True, autoincrement=False),
    _text("kind"),
    _text("key"),
    _text("operation"),
    _text("at"),
    _text("agent"),
    _text("run_id", optional=True),
    _text("step", optional=True),
    Column("before", OPTIONAL_JSON),  # the fields that changed, as they were
    Index("changes_at", "namespace", "at"),
    Index("changes_of", "namespace", "kind", "key", "revision"),
    Index("changes_agent", "namespace", "agent", "kind", "revision"),
    Index("changes_kind", "namespace", "kind", "revision"),
)

resources = Table(
    "resources",
    metadata,
    Column("number", NUMBER, primary_key=True),
    _namespace(key=False),
    _text("type"),
    _text("id"),
    _text("arn"),
    _text("account"),
    _text("region"),
    _text("name"),
    _text("status"),
    Column("attributes", JSON, nullable=False),
    Column("tags", JSON, nullable=False),
    Column("relations", JSON, nullable=False),
    *_origin(),
    _text("seen_at"),
    _text("deleted_at", optional=True),
    UniqueConstraint("namespace", "type", "id", name="resources_key"),
    Index("resources_id", "namespace", "id"),
    Index("resources_arn", "namespace", "arn"),
    Index("resources_region", "namespace", "region", "type", "id"),
    Index("resources_account", "namespace", "account", "type", "id"),
)

resource_counts = Table(  # how many living `resources` there are of each type
    "resource_counts",
    metadata,
    _namespace(),
    _key("type"),
    Column("living", BigInteger, nullable=False),
)

resource_tags = Table(  # the tags of `resources`, for looking up
    "resource_tags",
    metadata,
    _namespace(),
    _key("type"),
    _key("id"),
    _key("key"),
    _text("value"),
    Index("resource_tags_key", "namespace", "key", "value", "type", "id"),
)

resource_relations = Table(  # the relations of `resources`, for walking both ways
    "resource_relations",
    metadata,
    _namespace(),
    _key("type"),
    _key("id"),
    _key("kind"),
    _key("target"),
    Index("resource_relations_id", "namespace", "id"),
    Index("resource_relations_target", "namespace", "target", "type", "id"),
)

deployments = Table(
    "deployments",
    metadata,
    _namespace(),
    _key("deployment_id"),
    Column("first_revision", BigInteger, nullable=False),
    _text("application"),
    _text("environment"),
    _text("version"),
    _text("status"),
    _text("commit"),
    _text("artifact_sha256"),
    _text("strategy"),
    _text("rollback_target", optional=True),
    Column("attributes", JSON, nullable=False),
    _text("started_at"),
    *_origin(),
    UniqueConstraint("namespace", "first_revision", name="deployments_order"),
    Index("deployments_application", "namespace", "application", "first_revision"),
    Index("deployments_environment", "namespace", "environment", "first_revision"),
    Index("deployments_status", "namespace", "status", "first_revision"),
    Index("deployments_in", "namespace", "environment", "application"),
    Index("deployments_where", "namespace", "application", "environment", "first_revision"),
)

memories = Table(
    "memories",
    metadata,
    Column("number", NUMBER, primary_key=True),
    _namespace(key=False),
    _text("memory_id"),
    _text("agent"),
    _text("kind"),
    _text("text"),
    Column("importance", Float, nullable=False),
    _text("expires_at", optional=True),
    *_origin(),
    UniqueConstraint("namespace", "memory_id", name="memories_key"),
    Index("memories_agent", "namespace", "agent", "kind", "revision"),
    Index("memories_kind", "namespace", "kind", "revision"),
    Index("memories_expires", "namespace", "expires_at"),
)

context = Table(
    "context",
    metadata,
    _namespace(),
    _key("scope"),
    _key("key"),
    Column("value", JSON, nullable=False),
    *_origin(),
    Index("context_key", "namespace", "key"),
    Index("context_at", "namespace", "scope", "at"),
)

messages = Table(
    "messages",
    metadata,
    _namespace(),
    _key("message_id"),
    _text("sender"),
    _text("recipient"),
    _text("intent"),
    _text("content"),
    Column("data", JSON, nullable=False),
    _text("thread"),
    _text("in_reply_to", optional=True),
    _text("read_at", optional=True),  # when its recipient acknowledged it; never of one to all
    *_origin(),
    Index("messages_sender", "namespace", "sender"),
    Index("messages_recipient", "namespace", "recipient", "revision"),
    Index(
        "messages_unread",
        "namespace",
        "recipient",
        "revision",
        sqlite_where=text("read_at IS NULL"),  # on PostgreSQL too; to say so would load its dialect
    ),
    Index("messages_thread", "namespace", "thread", "revision"),
)

acknowledgements = Table(
    "acknowledgements",
    metadata,
    _namespace(),
    _key("message_id"),
    _key("reader"),
    _text("at"),
)

broadcasts_read = Table(  # the ranges of messages to `*` that a reader has no more to deal with
    "broadcasts_read",
    metadata,
    _namespace(),
    _key("reader"),
    Column("first_revision", BigInteger, primary_key=True, autoincrement=False),
    Column("last_revision", BigInteger, nullable=False),
)

runs = Table(
    "runs",
    metadata,
    _namespace(),
    _key("run_id"),
    Column("first_revision", BigInteger, nullable=False),
    _text("goal"),
    _text("status"),
    Column("plan", OPTIONAL_JSON),
    Column("steps", OPTIONAL_JSON),
    Column("report", OPTIONAL_JSON),
    _text("started_at"),
    *_origin(run_id=False),
    UniqueConstraint("namespace", "first_revision", name="runs_order"),
)
