"""What a Fargate task is: its image, size, environment, logs and execution permissions. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from opswright_aws_devops.containers.images import ecr_image
from opswright_core.errors import BadInputError

Architecture = Literal["X86_64", "ARM64"]

FARGATE_MEMORY_MIB: dict[int, Sequence[int]] = {
    256: (512, 1024, 2048),
    512: range(1024, 4096 + 1, 1024),
    1024: range(2048, 8192 + 1, 1024),
    2048: range(4096, 16384 + 1, 1024),
    4096: range(8192, 30720 + 1, 1024),
    8192: range(16384, 61440 + 1, 4096),
    16384: range(32768, 122880 + 1, 8192),
}
"""The memory that each CPU size (1024 units: one vCPU) may have (ECS guide, "Task size")."""


def check_size(cpu: int, memory_mib: int) -> None:
    """Raise BadInputError for a size that Fargate does not have."""
    memories = FARGATE_MEMORY_MIB.get(cpu)
    if memories is None:
        sizes = ", ".join(map(str, FARGATE_MEMORY_MIB))
        raise BadInputError(f"cpu {cpu}: Fargate has {sizes} (1024: one vCPU).")
    if memory_mib not in memories:
        step = f" in steps of {memories.step}" if isinstance(memories, range) else ""
        raise BadInputError(
            f"memory_mib {memory_mib}: with cpu {cpu} Fargate has {memories[0]} to "
            f"{memories[-1]}{step}."
        )


@dataclass(frozen=True, kw_only=True)
class Task:
    """One container as a Fargate task."""

    name: str
    image: str
    port: int
    cpu: int
    memory_mib: int
    architecture: Architecture
    environment: Mapping[str, str]
    secrets: Mapping[str, str]
    task_role_arn: str | None

    def definition(self, *, log_group: str, region: str, execution_role_arn: str) -> dict[str, Any]:
        """ECS's `RegisterTaskDefinition`, without the tags."""
        container = {
            "name": self.name,
            "image": self.image,
            "essential": True,
            "portMappings": [{"containerPort": self.port, "protocol": "tcp"}],
            "environment": [{"name": k, "value": v} for k, v in self.environment.items()],
            "secrets": [{"name": k, "valueFrom": v} for k, v in self.secrets.items()],
            "linuxParameters": {"initProcessEnabled": True},
            "logConfiguration": {
                "logDriver": "awslogs",
                "options": {
                    "awslogs-group": log_group,
                    "awslogs-region": region,
                    "awslogs-stream-prefix": self.name,
                    "mode": "non-blocking",
                },
            },
        }
        role = {"taskRoleArn": self.task_role_arn} if self.task_role_arn else {}
        return {
            "family": self.name,
            "requiresCompatibilities": ["FARGATE"],
            "networkMode": "awsvpc",
            "cpu": str(self.cpu),
            "memory": str(self.memory_mib),
            "runtimePlatform": {
                "cpuArchitecture": self.architecture,
                "operatingSystemFamily": "LINUX",
            },
            "executionRoleArn": execution_role_arn,
            "containerDefinitions": [container],
            **role,
        }


def execution_statements(image: str, log_group_arn: str, partition: str) -> list[dict[str, Any]]:
    """What ECS itself needs to start a task: pull this image, write to this log group."""
    statements = [
        {
            "Effect": "Allow",
            "Action": ["logs:CreateLogStream", "logs:PutLogEvents"],
            "Resource": [f"{log_group_arn}:*"],
        }
    ]
    if found := ecr_image(image):
        repository = f"arn:{partition}:ecr:{found.region}:{found.account}:repository"
        pull = ["ecr:BatchCheckLayerAvailability", "ecr:BatchGetImage"]
        statements += [
            {
                "Effect": "Allow",
                "Action": [*pull, "ecr:GetDownloadUrlForLayer"],
                "Resource": [f"{repository}/{found.repository}"],
            },
            {"Effect": "Allow", "Action": ["ecr:GetAuthorizationToken"], "Resource": ["*"]},
        ]
    return statements
