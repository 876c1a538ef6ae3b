"""Container repositories: private ECR repositories whose tags stay what they are."""

import json
from typing import Annotated, Any

from pydantic import BaseModel, Field

from opswright_aws_devops.lookup import first, if_exists, must_exist
from opswright_aws_devops.ownership import Request, key, outstanding
from opswright_aws_devops.steps import send
from opswright_core.aws import HERE, Aws, AwsTarget, Target, tags_of
from opswright_core.changes import Action, ChangePlan, ResourceRef, Scope, Work
from opswright_core.recorder import Recorder
from opswright_core.runtime import aws
from opswright_core.tools import write_tool
from opswright_core.undo import aws_undo
from opswright_core.verdicts import Check, check

REPOSITORY = "ecr:repository"
UNTAGGED_DAYS = 14
_WORD = r"[a-z0-9]+(?:[._-][a-z0-9]+)*"


class ContainerRepository(BaseModel):
    """A repository; `repository_uri` with a tag is what `create_container_service` runs."""

    repository_name: str
    repository_arn: str
    repository_uri: str


@write_tool(toolset="apps")
def create_container_repository(
    name: Annotated[
        str,
        Field(
            description="Like shop or team/shop",
            pattern=rf"^{_WORD}(?:/{_WORD})*$",
            min_length=2,
            max_length=256,
        ),
    ],
    keep_images: Annotated[int, Field(description="Newest kept; 0: all", ge=0, le=10_000)] = 100,
    kms_key_arn: Annotated[str, Field(description="Own key instead of AES-256")] | None = None,
    target: Target = HERE,
) -> Work[ContainerRepository]:
    """Create a private ECR repository: immutable tags, scan on push, encrypted, tidied."""
    a = aws(target)
    request = Request.of(
        "create_container_repository", name, keep_images=keep_images, kms_key=kms_key_arn
    )
    return Work(
        scope=Scope.of(a),
        plan=lambda: _plan(a, request, keep_images, kms_key_arn),
        apply=lambda rec: _apply(a, rec, request, keep_images, kms_key_arn, target),
        verify=lambda made: judge_repository(
            made, _load(a, made.repository_name), keep_images, kms_key_arn
        ),
        outputs=ContainerRepository,
    )


class RepositoryState(BaseModel):
    """What was read of a repository: ECR's description, its tags, its lifecycle policy."""

    described: dict[str, Any]
    tags: dict[str, str]
    lifecycle: dict[str, Any]


def _load(a: Aws, name: str) -> RepositoryState | None:
    ecr = a.client("ecr")
    found = if_exists(lambda: ecr.describe_repositories(repositoryNames=[name])["repositories"])
    described = first(found)
    if described is None:
        return None
    tags = ecr.list_tags_for_resource(resourceArn=described["repositoryArn"])["tags"]
    policy = if_exists(lambda: ecr.get_lifecycle_policy(repositoryName=name))
    return RepositoryState(
        described=described,
        tags=tags_of(tags),
        lifecycle=json.loads(policy["lifecyclePolicyText"]) if policy else {},
    )


def _plan(a: Aws, request: Request, keep_images: int, kms_key_arn: str | None) -> ChangePlan:
    if kms_key_arn:
        kms = a.client("kms")
        must_exist(f"KMS key {kms_key_arn}", lambda: kms.describe_key(KeyId=kms_key_arn))
    name, state = request.name, _load(a, request.name)
    if state:
        request.claim(f"repository {name}", state.tags)
    warnings = ["Undoing this deletes the repository with every image that is in it by then."]
    if keep_images:
        warnings.append(
            f"Images older than the newest {keep_images} are deleted, also one that still runs."
        )
    wanted = Action(
        verb="create",
        type=REPOSITORY,
        name=name,
        detail=f"immutable tags, scan on push, encrypted with {kms_key_arn or 'AES-256'}",
    )
    return ChangePlan(
        summary=f"Create container repository {name} in {a.region}",
        actions=outstanding([wanted], [key(REPOSITORY, name)] if state else []),
        warnings=warnings,
        observed={"exists": state is not None},
    )


def _apply(
    a: Aws,
    rec: Recorder,
    request: Request,
    keep_images: int,
    kms_key_arn: str | None,
    target: AwsTarget,
) -> ContainerRepository:
    ecr, name = a.client("ecr"), request.name
    which = {"repositoryName": name}
    encryption = {"encryptionType": "AES256"}
    if kms_key_arn:
        encryption = {"encryptionType": "KMS", "kmsKey": kms_key_arn}

    def make() -> dict[str, str]:
        state = _load(a, name)
        made = (
            state.described
            if state
            else ecr.create_repository(
                **which,
                imageTagMutability="IMMUTABLE",
                imageScanningConfiguration={"scanOnPush": True},
                encryptionConfiguration=encryption,
                tags=request.tag_list(name),
            )["repository"]
        )
        return {"arn": made["repositoryArn"], "uri": made["repositoryUri"]}

    made = rec.step(
        f"repository {name}",
        make,
        undo=[
            aws_undo(
                f"delete repository {name} with every image in it",
                "ecr",
                "delete_repository",
                {**which, "force": True},
                target=target,
                region=a.region,
                gone=("describe_repositories", {"repositoryNames": [name]}, "repositories[]"),
            )
        ],
        resource=ResourceRef(type=REPOSITORY, id=name, name=name),
    )
    rec.step(  # it goes with the repository, so it needs no undo
        "lifecycle policy",
        lambda: send(
            ecr.put_lifecycle_policy,
            **which,
            lifecyclePolicyText=json.dumps(lifecycle_policy(keep_images)),
        ),
    )
    # What a hand may have changed since is put back by a repeat.
    rec.step(
        "immutable tags",
        lambda: send(ecr.put_image_tag_mutability, **which, imageTagMutability="IMMUTABLE"),
    )
    rec.step(
        "scan on push",
        lambda: send(
            ecr.put_image_scanning_configuration,
            **which,
            imageScanningConfiguration={"scanOnPush": True},
        ),
    )
    if a.is_emulator:
        rec.gap("The emulator's registry scans no images.")
    return ContainerRepository(
        repository_name=name, repository_arn=made["arn"], repository_uri=made["uri"]
    )


def lifecycle_policy(keep_images: int) -> dict[str, Any]:
    """Drop untagged images after two weeks, and all but the newest `keep_images` (0 keeps all)."""
    rules: list[dict[str, Any]] = [
        {
            "rulePriority": 1,
            "description": f"untagged for {UNTAGGED_DAYS} days",
            "selection": {
                "tagStatus": "untagged",
                "countType": "sinceImagePushed",
                "countUnit": "days",
                "countNumber": UNTAGGED_DAYS,
            },
            "action": {"type": "expire"},
        }
    ]
    if keep_images:
        rules.append(
            {
                "rulePriority": 2,
                "description": f"beyond the newest {keep_images}",
                "selection": {
                    "tagStatus": "any",
                    "countType": "imageCountMoreThan",
                    "countNumber": keep_images,
                },
                "action": {"type": "expire"},
            }
        )
    return {"rules": rules}


def judge_repository(
    made: ContainerRepository,
    state: RepositoryState | None,
    keep_images: int,
    kms_key_arn: str | None,
) -> list[Check]:
    """Whether the repository is there, and as safe and tidy as it was made."""
    if state is None:
        said = "ECR knows none of that name"
        return [check("Repository exists", False, said, made.repository_name)]
    found = state.described
    encryption = found.get("encryptionConfiguration", {})
    wanted = "KMS" if kms_key_arn else "AES256"
    facts = [
        ("Repository exists", found["repositoryArn"] == made.repository_arn, ""),
        (
            "Its tags are immutable",
            found["imageTagMutability"] == "IMMUTABLE",
            found["imageTagMutability"],
        ),
        (
            "Images are scanned on push",
            bool(found.get("imageScanningConfiguration", {}).get("scanOnPush")),
            "",
        ),
        (
            "It is encrypted as asked for",
            encryption.get("encryptionType") == wanted
            and encryption.get("kmsKey") in {None, kms_key_arn},
            str(encryption.get("encryptionType")),
        ),
        (
            "Old images are tidied away",
            [_without_text(rule) for rule in state.lifecycle.get("rules", [])]
            == [_without_text(rule) for rule in lifecycle_policy(keep_images)["rules"]],
            "",
        ),
    ]
    return [check(name, ok, evidence, made.repository_name) for name, ok, evidence in facts]


def _without_text(rule: dict[str, Any]) -> dict[str, Any]:
    return {k: v for k, v in rule.items() if k != "description"}
