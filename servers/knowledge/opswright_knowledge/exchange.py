"""The lines of an export: JSON, one record each, with who wrote it and when.

The first line is a `Header`; `record` says what each of the others is. Revisions are a store's own
and are not exchanged.
"""

from datetime import UTC, datetime
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from opswright_core.errors import BadInputError
from opswright_knowledge.moments import iso
from opswright_knowledge.records import (
    DeploymentRecord,
    Identifier,
    Intent,
    MemoryKind,
    Name,
    ResourceFields,
)

FORMAT = "opswright-knowledge"
VERSION = 1
RecordKind = Literal["resource", "deployment", "memory", "context", "message", "run"]


def _time(text: str) -> str:
    try:
        time = datetime.fromisoformat(text)
    except ValueError:
        raise ValueError("is no ISO 8601 time") from None
    return iso(time.astimezone(UTC) if time.tzinfo else time.replace(tzinfo=UTC))


Time = Annotated[str, AfterValidator(_time)]
Text = Annotated[str, Field(max_length=4000)]


class Written(BaseModel):
    """Who wrote a record last, in which run, and when."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    recorded_by: Name
    run_id: Name | None = None
    step: Name | None = None
    at: Time


class ResourceLine(Written, ResourceFields):
    """A resource."""

    record: Literal["resource"]
    seen_at: Time
    deleted_at: Time | None = None


class DeploymentLine(Written, DeploymentRecord):
    """A deployment."""

    record: Literal["deployment"]
    deployment_id: Identifier
    started_at: Time


class MemoryLine(Written):
    """A memory."""

    record: Literal["memory"]
    memory_id: Identifier
    agent: Name
    kind: MemoryKind
    text: Text
    importance: float = Field(ge=0, le=1)
    expires_at: Time | None = None


class ContextLine(Written):
    """A shared value."""

    record: Literal["context"]
    scope: Name
    key: Name
    value: Any


class MessageLine(Written):
    """A message, and who has acknowledged it when."""

    record: Literal["message"]
    message_id: Identifier
    sender: Name
    recipient: Name
    intent: Intent
    content: Text
    data: dict[str, Any]
    thread: Identifier
    in_reply_to: Identifier | None = None
    acknowledged: dict[Name, Time] = Field(default_factory=dict)


class RunLine(Written):
    """A run."""

    record: Literal["run"]
    run_id: Name
    goal: Text
    status: Annotated[str, Field(max_length=40)]
    plan: dict[str, Any] | None = None
    steps: list[dict[str, Any]] | None = None
    report: dict[str, Any] | None = None
    started_at: Time


class Header(BaseModel):
    """The first line: what this is, and how far the store was."""

    model_config = ConfigDict(frozen=True)
    record: Literal["header"] = "header"
    format: str = FORMAT
    version: int = VERSION
    revision: int
    at: str


RecordLine = ResourceLine | DeploymentLine | MemoryLine | ContextLine | MessageLine | RunLine
Line = Annotated[RecordLine | Header, Field(discriminator="record")]
_LINE: TypeAdapter[Any] = TypeAdapter(Line)

MODELS: dict[RecordKind, type[BaseModel]] = {
    "resource": ResourceLine,
    "deployment": DeploymentLine,
    "memory": MemoryLine,
    "context": ContextLine,
    "message": MessageLine,
    "run": RunLine,
}


def parse(text: str, number: int) -> RecordLine | None:
    """The record of a line, or None for a header or an empty line.

    Raises BadInputError, which quotes nothing of the line but names its number.
    """
    if not text.strip():
        return None
    try:
        line = _LINE.validate_json(text)
    except ValidationError as exc:
        error = exc.errors(include_url=False, include_input=False)[0]
        where = ".".join(map(str, error["loc"])) or "it"
        raise BadInputError(
            f"line {number} is no record of an export: {where}: {error['msg']}"
        ) from None
    if not isinstance(line, Header):
        return line  # type: ignore[no-any-return]
    if line.format != FORMAT or line.version > VERSION:
        raise BadInputError(
            f"line {number} says {line.format[:40]!r} version {line.version}; this server reads "
            f"{FORMAT} up to version {VERSION}. Upgrade opswright-knowledge."
        )
    return None
