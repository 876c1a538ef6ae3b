"""The CI/CD server: its table of contents."""

from pathlib import Path
from typing import Any

from fastmcp import FastMCP

from opswright_cicd import examination, rollout
from opswright_cicd.permissions import PERMISSIONS
from opswright_cicd.skills import delivery
from opswright_cicd.tools import (
    containers,
    deployments,
    pipelines,
    releases,
    repositories,
    rollouts,
    tags,
)
from opswright_core.server import build_server
from opswright_core.settings import Settings


def create_server(settings: Settings) -> FastMCP[Any]:
    """The server with its tools, skills and undo handlers."""
    return build_server(
        "cicd",
        title="CI/CD: versions, releases, deployments and rollbacks",
        instructions=Path(__file__).with_name("playbook.md").read_text(encoding="utf-8"),
        tools=[
            repositories.list_versions,
            repositories.inspect_repository,
            repositories.compare_versions,
            releases.build_release,
            deployments.get_deployment,
            deployments.list_deployments,
            rollouts.deploy_release,
            rollouts.roll_back_deployment,
            tags.create_tag,
            containers.list_containers,
            containers.list_images,
            containers.build_image,
            pipelines.review_pipeline,
        ],
        skills=[
            delivery.deploy_version,
            delivery.roll_back_to_previous,
            delivery.show_running_version,
            delivery.compare_two_versions,
            delivery.build_one_release,
        ],
        undo_handlers={
            rollout.KIND: rollout.RolloutUndo(),
            tags.KIND: tags.TagUndo(),
            containers.KIND: containers.ImageUndo(),
        },
        requirements=[
            "git on the PATH",
            "AWS credentials for S3, EC2 Auto Scaling, EC2, ELB and SSM (README lists the "
            "permissions)",
            "for the containers toolset: a Docker daemon",
        ],
        settings=settings,
        permissions=PERMISSIONS,
        examinations=[examination.examine_git, examination.examine_docker],
    )
