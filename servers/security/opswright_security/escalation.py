"""Known ways from a few IAM permissions to administrator.

The combinations are those that Rhino Security Labs published ("AWS IAM Privilege Escalation –
Methods and Mitigation", 2018, and its sequel on SageMaker, CodeStar and Lambda), in our words.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from opswright_security.policies import grants


@dataclass(frozen=True)
class Path:
    """A way to more rights: the permissions it takes, and what they allow."""

    actions: tuple[str, ...]
    how: str


PATHS: tuple[Path, ...] = (
    Path(("iam:CreatePolicyVersion",), "rewrite a policy that is attached to oneself"),
    Path(("iam:SetDefaultPolicyVersion",), "bring back an older, wider version of a policy"),
    Path(("iam:CreateAccessKey",), "make access keys for another user"),
    Path(("iam:CreateLoginProfile",), "give another user a console password"),
    Path(("iam:UpdateLoginProfile",), "change another user's console password"),
    Path(("iam:AttachUserPolicy",), "attach AdministratorAccess to oneself"),
    Path(("iam:AttachGroupPolicy",), "attach AdministratorAccess to one's group"),
    Path(("iam:AttachRolePolicy", "sts:AssumeRole"), "widen a role and assume it"),
    Path(("iam:PutUserPolicy",), "write oneself an inline policy"),
    Path(("iam:PutGroupPolicy",), "write one's group an inline policy"),
    Path(("iam:PutRolePolicy", "sts:AssumeRole"), "write a role an inline policy and assume it"),
    Path(("iam:AddUserToGroup",), "join a group of administrators"),
    Path(("iam:UpdateAssumeRolePolicy", "sts:AssumeRole"), "make a role trust oneself"),
    Path(("iam:PassRole", "ec2:RunInstances"), "start an instance with a stronger role"),
    Path(
        ("iam:PassRole", "lambda:CreateFunction", "lambda:InvokeFunction"),
        "run code in a function with a stronger role",
    ),
    Path(
        ("iam:PassRole", "lambda:CreateFunction", "lambda:CreateEventSourceMapping"),
        "have a stream run code with a stronger role",
    ),
    Path(("lambda:UpdateFunctionCode",), "replace the code of a function with a stronger role"),
    Path(("lambda:UpdateFunctionConfiguration",), "add a layer to a function with a stronger role"),
    Path(("iam:PassRole", "glue:CreateDevEndpoint"), "open a Glue endpoint with a stronger role"),
    Path(("glue:UpdateDevEndpoint",), "add one's SSH key to a Glue endpoint"),
    Path(
        ("iam:PassRole", "cloudformation:CreateStack"), "have CloudFormation act as a stronger role"
    ),
    Path(
        ("iam:PassRole", "datapipeline:CreatePipeline", "datapipeline:PutPipelineDefinition"),
        "run a pipeline with a stronger role",
    ),
    Path(
        (
            "iam:PassRole",
            "sagemaker:CreateNotebookInstance",
            "sagemaker:CreatePresignedNotebookInstanceUrl",
        ),
        "open a notebook with a stronger role",
    ),
    Path(("sagemaker:CreatePresignedNotebookInstanceUrl",), "open another's notebook"),
    Path(("codestar:CreateProjectFromTemplate",), "create a CodeStar project with wide rights"),
    Path(("iam:PassRole", "codestar:CreateProject"), "have CodeStar act as a stronger role"),
)


def escalations(policies: Iterable[Mapping[str, Any] | str]) -> list[Path]:
    """The paths that a principal's policies open together."""
    documents = list(policies)
    granted = {
        action: grants(documents, action)
        for action in sorted({action for path in PATHS for action in path.actions})
    }
    return [path for path in PATHS if all(granted[action] for action in path.actions)]
