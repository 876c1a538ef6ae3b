"""The history of deployments."""

from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field

from opswright_core.pages import Page
from opswright_core.tools import read_tool, record_tool
from opswright_knowledge.paging import cut, decode
from opswright_knowledge.records import (
    By,
    Deployment,
    DeploymentRecord,
    DeploymentStatus,
    Name,
    Running,
    ShortId,
    Sought,
)
from opswright_knowledge.store import knowledge
from opswright_knowledge.tools.registry import PAGE_ITEMS, Cursor


class DeploymentRecorded(BaseModel):
    """A deployment on record."""

    model_config = ConfigDict(frozen=True)
    revision: int
    deployment_id: str = Field(description="Pass it to record the news of this deployment")


@record_tool
async def record_deployment(
    application: Annotated[Name, Field(description="What was deployed")],
    environment: Annotated[Name, Field(description="Where to, like prod")],
    version: Annotated[Name, Field(description="Like v1.2.0")],
    status: Annotated[DeploymentStatus, Field(description="How it stands")] = "succeeded",
    commit: Annotated[str, Field(description="Of git", max_length=64)] = "",
    artifact_sha256: Annotated[str, Field(description="Digest", max_length=71)] = "",
    strategy: Annotated[str, Field(description="Like rolling", max_length=40)] = "",
    rollback_target: Annotated[
        str | None, Field(description="Version to return to", max_length=200)
    ] = None,
    attributes: Annotated[dict[str, Any] | None, Field(description="More to keep")] = None,
    deployment_id: Annotated[ShortId | None, Field(description="To update")] = None,
    by: By = None,
) -> DeploymentRecorded:
    """Record a deployment or its news. A repeat by the same run and step updates it."""
    sent: dict[str, Any] = {
        "commit": commit or None,
        "artifact_sha256": artifact_sha256 or None,
        "strategy": strategy or None,
        "rollback_target": rollback_target,
        "attributes": attributes,
        "deployment_id": deployment_id,
    }
    record = DeploymentRecord(
        application=application,
        environment=environment,
        version=version,
        status=status,
        **{key: value for key, value in sent.items() if value is not None},
    )
    made, recorded = await knowledge().write(by, lambda store: store.deployments.record(record))
    return DeploymentRecorded(revision=recorded.revision, deployment_id=made)


@read_tool
def list_deployments(
    application: Annotated[Sought | None, Field(description="Only of this one")] = None,
    environment: Annotated[Sought | None, Field(description="Only to this one")] = None,
    status: Annotated[DeploymentStatus | None, Field(description="Only these")] = None,
    limit: Annotated[int, Field(description="Most on a page", ge=1, le=100)] = 20,
    cursor: Cursor = None,
) -> Page[Deployment]:
    """List recorded deployments, newest first."""
    place = decode(cursor, [int])
    with knowledge().reading() as store:
        found, total = store.deployments.find(
            application=application, environment=environment, status=status,
            before=place[0] if place else None, limit=limit,
        )  # fmt: skip
    places = {deployment.deployment_id: first for first, deployment in found}
    return cut(
        [deployment for _, deployment in found],
        total=total,
        limit=limit,
        place=lambda item: [places[item.deployment_id]],
        summary=f"{total:,} deployments on record, newest first",
    )


@read_tool
def list_running_versions(
    application: Annotated[Sought | None, Field(description="Only of this one")] = None,
    environment: Annotated[Sought | None, Field(description="Only in this one")] = None,
    cursor: Cursor = None,
) -> Page[Running]:
    """List what runs where by the record, and the version before it, to go back to."""
    place = decode(cursor, [str, str])
    with knowledge().reading() as store:
        found, total = store.deployments.running(
            application=application, environment=environment, after=place, limit=PAGE_ITEMS
        )
    return cut(
        found,
        total=total,
        limit=PAGE_ITEMS,
        place=lambda item: [item.application, item.environment],
        summary=f"{total:,} applications and environments on record",
    )
