"""Deploys releases and rolls deployments back."""

from typing import Annotated, Literal

from pydantic import Field

from opswright_cicd import records
from opswright_cicd.deployment import Deployment, DeploymentOutputs, check_artifact
from opswright_cicd.records import DeploymentRecord
from opswright_cicd.tools.deployments import Environment
from opswright_cicd.tools.releases import Application, Bucket
from opswright_cicd.tools.repositories import VersionName
from opswright_core.aws import HERE, Target
from opswright_core.changes import Work
from opswright_core.errors import ConflictError, NotFoundError
from opswright_core.runtime import aws
from opswright_core.tools import write_tool

BatchPercent = Annotated[int, Field(description="Share replaced at a time", ge=1, le=100)]
HealthTimeout = Annotated[
    int, Field(description="Per batch, then it is returned by itself", ge=1, le=3600)
]


@write_tool()
def deploy_release(
    application: Application,
    version: VersionName,
    artifact_bucket: Bucket,
    artifact_key: Annotated[
        str,
        Field(
            description="From build_release",
            pattern=r"^[A-Za-z0-9][A-Za-z0-9._+/-]*$",
            max_length=500,
        ),
    ],
    artifact_sha256: Annotated[
        str, Field(description="From build_release", pattern=r"^[0-9a-f]{64}$")
    ],
    asg_name: Annotated[str, Field(description="Auto-scaling group", max_length=255)],
    target_group_arn: Annotated[
        str,
        Field(
            description="Tells when servers are healthy",
            pattern=r"^arn:[a-z-]+:elasticloadbalancing:",
            max_length=300,
        ),
    ],
    commit: Annotated[
        str, Field(description="Of the version", pattern=r"^([0-9a-f]{7,64})?$")
    ] = "",
    repository: Annotated[str, Field(description="It was built from", max_length=500)] = "",
    environment: Environment = "production",
    strategy: Annotated[
        Literal["rolling"], Field(description="canary and blue-green: not yet")
    ] = "rolling",
    health_check_path: Annotated[
        str,
        Field(
            description="200 when healthy",
            pattern=r"^/[A-Za-z0-9_./?=&%~+:@-]*$",
            max_length=1024,
        ),
    ] = "/healthz",
    batch_percent: BatchPercent = 50,
    health_timeout_seconds: HealthTimeout = 600,
    target: Target = HERE,
) -> Work[DeploymentOutputs]:
    """Roll a release out to an auto-scaling group in batches; returns by itself when unhealthy."""
    a = aws(target)

    def record() -> DeploymentRecord:
        now = records.current(a, application, environment)
        wanted = DeploymentRecord(
            application=application,
            environment=environment,
            version=version,
            commit=commit,
            previous_version=records.previous_version(now, version),
            rollback_target=records.rollback_target(now, version),
            strategy=strategy,
            repository=repository,
            artifact_bucket=artifact_bucket,
            artifact_key=artifact_key,
            artifact_sha256=artifact_sha256,
            asg_name=asg_name,
            target_group_arn=target_group_arn,
            health_check_path=health_check_path,
        )
        return check_artifact(a, wanted)

    return Deployment(
        a=a,
        target=target,
        record=record,
        batch_percent=batch_percent,
        health_timeout_seconds=health_timeout_seconds,
    ).work()


@write_tool()
def roll_back_deployment(
    application: Application,
    environment: Environment = "production",
    to_version: Annotated[
        str | None, Field(description="Default: what ran before", max_length=64)
    ] = None,
    batch_percent: BatchPercent = 50,
    health_timeout_seconds: HealthTimeout = 600,
    target: Target = HERE,
) -> Work[DeploymentOutputs]:
    """Return an application to a version deployed before, its artifact checked first."""
    a = aws(target)

    def record() -> DeploymentRecord:
        now = records.need_current(a, application, environment)
        past = records.history(a, application, environment)
        version = to_version or now.rollback_target
        others = sorted({r.version for r in past if r.version != now.version}) or ["none"]
        if version is None:
            raise ConflictError(
                f"{application} {now.version} in {environment} has nothing to roll back to: no "
                "version ran before "
                f"it. Others in its history: {', '.join(others)}."
            )
        if version == now.version:
            raise ConflictError(f"{application} {version} is what runs in {environment} already.")
        before = records.earlier(past, version)
        if before is None:
            raise NotFoundError(
                f"{application} {version!r} was never deployed to {environment}, as far as the "
                "history goes. "
                f"In it: {', '.join(others)}. Deploy it with deploy_release."
            )
        wanted = before.model_copy(
            update={
                "asg_name": now.asg_name,
                "target_group_arn": now.target_group_arn,
                "previous_version": now.version,
                "strategy": "rollback",
                "deployed_at": "",
                "launch_template_id": "",
                "launch_template_version": 0,
            }
        )
        return check_artifact(a, wanted)

    return Deployment(
        a=a,
        target=target,
        record=record,
        batch_percent=batch_percent,
        health_timeout_seconds=health_timeout_seconds,
    ).work()
