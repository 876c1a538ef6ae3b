"""Files an agent's whole report at once."""

from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from opswright_core.errors import BadInputError
from opswright_core.text import clean
from opswright_core.tools import record_tool
from opswright_knowledge.kept import RECORD_BYTES, bounded, kept
from opswright_knowledge.records import (
    By,
    DeploymentRecord,
    MemoryRecord,
    MessageRecord,
    Name,
    Provenance,
    ResourceKey,
    ResourceRecord,
)
from opswright_knowledge.store import knowledge

MOST: Any = Field(default_factory=list, max_length=1000)


class TouchedResource(ResourceRecord):
    """A resource in a report: `action` says what became of it."""

    model_config = ConfigDict(frozen=True, extra="ignore")
    action: str = "modified"


def _shortened(item: Any) -> Any:
    """Cut a memory's or message's text to what is kept: a long one must not lose the report."""
    if not isinstance(item, dict):
        return item
    most = {"text": 2000, "content": 4000}
    return {
        k: clean(v, most[k]) if k in most and isinstance(v, str) else v for k, v in item.items()
    }


class Report(BaseModel):
    """The parts of a TaskReport that are filed; the others are ignored."""

    model_config = ConfigDict(frozen=True, extra="ignore")
    task_id: str = ""
    resources: Annotated[list[TouchedResource], MOST]
    deployments: Annotated[list[DeploymentRecord], MOST]
    memories: Annotated[list[Annotated[MemoryRecord, BeforeValidator(_shortened)]], MOST]
    messages: Annotated[list[Annotated[MessageRecord, BeforeValidator(_shortened)]], MOST]
    outputs: dict[str, Any] = Field(default_factory=dict)


class Filed(BaseModel):
    """What was filed, all in one transaction."""

    model_config = ConfigDict(frozen=True)
    revision: int
    resources: int
    deployments: list[str] = Field(description="Their ids")
    memories: list[str] = Field(description="Their ids")
    messages: list[str] = Field(description="Their ids")
    outputs_at: str | None = Field(None, description="Where in the context: scope/key")


@record_tool(toolset="more")
def record_report(
    agent: Annotated[Name, Field(description="Whose report")],
    report: Annotated[
        dict[str, Any],
        Field(description="TaskReport: resources, deployments, memories, messages, outputs"),
    ],
    by: By = None,
) -> Filed:
    """File an agent's report, all or nothing. A repeat by the same run and step changes nothing."""
    parsed = _parsed(report)
    last = {(r.type, r.id): r.action for r in parsed.resources}
    deleted = {key for key, action in last.items() if action == "deleted"}
    records = [_record(r) for r in parsed.resources]
    there = [r for r in records if (r.type, r.id) not in deleted]
    gone = [r for r in records if (r.type, r.id) in deleted]
    by = by or Provenance(agent=agent)
    with knowledge().writing(by) as store:
        store.resources.put([*there, *store.resources.unknown(gone)])
        store.resources.mark_deleted([ResourceKey(type=r.type, id=r.id) for r in gone])
        deployments = [store.deployments.record(d)[0] for d in parsed.deployments]
        memories = store.memories.put(agent, parsed.memories)[0]
        messages = [store.messages.send(agent, m)[0] for m in parsed.messages]
        place = None
        if parsed.outputs:
            scope = f"run:{by.run_id}" if by.run_id else f"agent:{agent}"
            key = by.step or parsed.task_id or agent
            outputs = bounded(kept(parsed.outputs, "outputs", 1_000_000), RECORD_BYTES - 500)
            store.context.put(scope, key, outputs)
            place = f"{scope}/{key}"
        revision = store.revision
    return Filed(
        revision=revision,
        resources=len(last),
        deployments=deployments,
        memories=memories,
        messages=messages,
        outputs_at=place,
    )


def _parsed(report: dict[str, Any]) -> Report:
    try:
        return Report.model_validate({key: value for key, value in report.items() if value})
    except ValidationError as exc:
        wrong = "; ".join(
            f"{'.'.join(map(str, error['loc']))}: {error['msg']}"
            for error in exc.errors(include_url=False, include_input=False)[:5]
        )
        raise BadInputError(f"the report cannot be filed: {wrong}. Nothing was recorded.") from None


def _record(touched: TouchedResource) -> ResourceRecord:
    """What the report knows; an empty field in it is one it does not know."""
    sent = touched.model_dump(exclude_unset=True, exclude={"action"})
    return ResourceRecord(
        **{key: value for key, value in sent.items() if value not in ("", {}, [])}
    )
