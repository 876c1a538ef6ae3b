"""Deploy, roll back, build, and say what runs and what changed."""

from typing import TYPE_CHECKING, Annotated, Any

from pydantic import BaseModel, Field

from opswright_core.agent.report import AgentMessage, Memory, Outcome
from opswright_core.agent.skills import FromText, skill

if TYPE_CHECKING:
    from opswright_core.agent.worker import Worker

_VERSION = r"\b(v?\d+\.\d+[\w.+-]*)"
# "of the sample app", "of the app named sample", "deploy the sample app"
_NAME = (
    r"\b(?:(?:named|called|of|for)\s+(?:the\s+)?|(?:back|deploy|revert|ship)\s+(?:the\s+)?(?=[\w-]+\s+app))"
    r"(?!the\b|app(?:lication)?\b|last\b|v?\d)([A-Za-z][\w-]*)"
)
Application = Annotated[str, Field(description="Name of the application"), FromText(_NAME)]
MaybeApplication = Annotated[
    str | None, Field(description="Name of the application"), FromText(_NAME)
]
Environment = Annotated[
    str,
    Field(description="Name of the environment"),
    FromText(r"\b(?:in|to|on)\s+(?:the\s+)?(production|staging|development|test)\b"),
]
RepositoryName = Annotated[
    str,
    Field(description="Local path or git URL of the repository"),
    FromText(r"((?:https?|ssh|git|file)://\S+|git@\S+|(?<!\w)[~.]?/[\w./-]+)"),
]


class DeployInputs(BaseModel):
    """What a deployment needs; what is left out is taken from the deployment before."""

    application: Application
    version: Annotated[str, Field(description="Version (git tag) to deploy"), FromText(_VERSION)]
    environment: Environment = "production"
    repository: Annotated[str | None, FromText(r"((?:https?|ssh|git|file)://\S+|git@\S+)")] = None
    bucket: str | None = None
    asg_name: str | None = None
    target_group_arn: str | None = None
    health_check_path: str | None = None


class WhichDeployment(BaseModel):
    """Which deployment is meant; with one application alone its name may be left out."""

    application: MaybeApplication = None
    environment: Environment = "production"


class BuildInputs(BaseModel):
    """What a release is made from."""

    application: Application
    version: Annotated[str, Field(description="Version (git tag) to release"), FromText(_VERSION)]
    repository: RepositoryName
    bucket: Annotated[
        str, Field(description="S3 bucket for the artifact"), FromText(r"\bbucket\s+(\S+)")
    ]


class CompareInputs(BaseModel):
    """Two versions of one repository."""

    repository: RepositoryName
    from_version: Annotated[
        str, Field(description="The older version"), FromText(rf"(?:between|from)\s+{_VERSION}")
    ]
    to_version: Annotated[
        str, Field(description="The newer version"), FromText(rf"(?:and|to|with)\s+{_VERSION}")
    ]


@skill(
    "deploy version v1.1.0 of the sample app",
    "deploy the application to staging",
    "roll out v2.0.1 to production",
    "ship 1.4.0",
    risk="write",
)
async def deploy_version(worker: "Worker", inputs: DeployInputs) -> Outcome:
    """Deploy a tagged version of an app: package it, then roll it out in batches."""
    known, _, is_new = await worker.try_call(
        "get_deployment", {"application": inputs.application, "environment": inputs.environment}
    )
    before: dict[str, Any] = {} if is_new else known
    wanted = {
        "repository": inputs.repository or before.get("repository"),
        "bucket": inputs.bucket or before.get("artifact_bucket"),
        "asg_name": inputs.asg_name or before.get("asg_name"),
        "target_group_arn": inputs.target_group_arn or before.get("target_group_arn"),
    }
    if missing := [name for name, value in wanted.items() if not value]:
        return Outcome(
            status="failed",
            summary=f"{inputs.application} has not been deployed to {inputs.environment} yet, "
            f"so these are needed: {', '.join(missing)}.",
            next=f"Call again with {', '.join(missing)} in context.facts.",
        )
    release = await worker.call(
        "build_release",
        application=inputs.application,
        repository=wanted["repository"],
        version=inputs.version,
        bucket=wanted["bucket"],
    )
    built = release["outputs"]
    path = inputs.health_check_path or before.get("health_check_path")
    change = await worker.call(
        "deploy_release",
        **{k: v for k, v in built.items() if k != "size_bytes"},
        asg_name=wanted["asg_name"],
        target_group_arn=wanted["target_group_arn"],
        environment=inputs.environment,
        **({"health_check_path": path} if path else {}),
    )
    return _deployed(
        change, f"{inputs.application} {built['version']} runs in {inputs.environment}"
    )


@skill(
    "roll back the last deployment",
    "roll back the app in staging",
    "revert production",
    "return the application to the previous version, go back",
    risk="write",
)
async def roll_back_to_previous(worker: "Worker", inputs: WhichDeployment) -> Outcome:
    """Roll an app back to the previous version that ran before."""
    application = await _application(worker, inputs)
    if isinstance(application, Outcome):
        return application
    change = await worker.call(
        "roll_back_deployment", application=application, environment=inputs.environment
    )
    version = change["outputs"]["version"]
    return _deployed(change, f"{application} is back on {version} in {inputs.environment}")


@skill(
    "what version is running",
    "which version is deployed in production",
    "what runs in staging",
    "current deployment status of the app",
)
async def show_running_version(worker: "Worker", inputs: WhichDeployment) -> Outcome:
    """Say which version currently runs and whether it is live and healthy."""
    application = await _application(worker, inputs)
    if isinstance(application, Outcome):
        return application
    now = await worker.call(
        "get_deployment", application=application, environment=inputs.environment
    )
    back = now["rollback_target"] or "nothing"
    return Outcome(
        summary=f"{application} {now['version']} ({now['commit'][:12]}) is {now['status']} in "
        f"{inputs.environment}: {now['evidence']}. A rollback goes to {back}.",
        outputs=now,
    )


@skill(
    "what changed between v1.0.0 and v1.1.0",
    "compare two versions",
    "release notes, changelog, differences and commits from v1.0.0 to v2.0.0",
    "what is new, what changes, what breaks",
)
async def compare_two_versions(worker: "Worker", inputs: CompareInputs) -> Outcome:
    """Say what changed between two versions: commits, files, and what may break."""
    answer = await worker.call(
        "compare_versions",
        repository=inputs.repository,
        from_version=inputs.from_version,
        to_version=inputs.to_version,
    )
    files = sum(answer["file_counts"].values())
    hints = "; ".join(answer["breaking_hints"]) or "none"
    return Outcome(
        summary=f"{answer['from_version']} → {answer['to_version']}: "
        f"{answer['commit_count']} commits, {files} files. "
        f"May break: {hints}.",
        outputs=answer,
    )


@skill(
    "build a release",
    "build release v1.1.0 of the app named shop from the repository into the bucket",
    "package an artifact",
    risk="write",
)
async def build_one_release(worker: "Worker", inputs: BuildInputs) -> Outcome:
    """Build a release artifact from a git tag and store it in a bucket, no more."""
    change = await worker.call(
        "build_release",
        application=inputs.application,
        repository=inputs.repository,
        version=inputs.version,
        bucket=inputs.bucket,
    )
    made = change["outputs"]
    return Outcome(
        summary=f"{made['application']} {made['version']} is "
        f"s3://{made['artifact_bucket']}/{made['artifact_key']}, "
        f"SHA-256 {made['artifact_sha256']}.",
        outputs=made,
        next="Deploy it with deploy_release.",
    )


async def _application(worker: "Worker", inputs: WhichDeployment) -> str | Outcome:
    """The application meant, or an outcome that asks which."""
    if inputs.application:
        return inputs.application
    listed = await worker.call("list_deployments", environment=inputs.environment)
    names = sorted({line["application"] for line in listed["items"]})
    if len(names) == 1:
        return str(names[0])
    known = f"Deployed there: {', '.join(names)}." if names else "Nothing is deployed there."
    return Outcome(
        status="failed",
        summary=f"Which application in {inputs.environment}? {known}",
        next="Name the application.",
    )


def _deployed(change: dict[str, Any], said: str) -> Outcome:
    made = change["outputs"]
    data = {
        key: made[key]
        for key in (
            "application",
            "environment",
            "version",
            "previous_version",
            "asg_name",
            "target_group_arn",
        )
    }
    return Outcome(
        summary=f"{said} ({len(made['instances_replaced'])} instances replaced).",
        outputs=made,
        messages=[
            AgentMessage(
                recipient="metrics", content=f"{said}; watch errors and latency.", data=data
            )
        ],
        memories=[Memory(text=f"{said}, deployed {made['deployed_at']} ({made['strategy']}).")],
        next="undo_change or roll_back_deployment returns to the version before.",
    )
