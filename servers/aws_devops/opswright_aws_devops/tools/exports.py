"""Infrastructure as text, to be kept in a repository and deployed by other means."""

import re
from collections import Counter
from typing import Annotated, Literal

from pydantic import BaseModel, Field

from opswright_aws_devops.export.cloudformation import as_template
from opswright_aws_devops.export.existing.choosing import choose
from opswright_aws_devops.export.existing.joining import described
from opswright_aws_devops.export.model import Assembly
from opswright_aws_devops.export.script.writing import as_script
from opswright_aws_devops.export.steps import Step, assemble
from opswright_aws_devops.export.terraform.writing import as_configuration
from opswright_core.aws import HERE, Target, tags_of
from opswright_core.errors import BadInputError
from opswright_core.local_paths import local_path, written_whole
from opswright_core.runtime import aws, runtime
from opswright_core.tools import record_tool

Format = Literal["cloudformation", "terraform", "boto3"]
WRITERS = {"cloudformation": as_template, "terraform": as_configuration, "boto3": as_script}
ENDINGS = {"cloudformation": ".yaml", "terraform": ".tf", "boto3": ".py"}
MOST_SHOWN_BYTES = 8_000
"""A longer text is a resource of its own, so that no answer holds a part of one."""

As = Annotated[Format, Field(description="terraform: provider aws; boto3: a script")]
NewFile = Annotated[
    str | None, Field(description="New file on the server: .yaml, .tf or .py", max_length=4000)
]


class Export(BaseModel):
    """What was exported; the text is in `text`, at `whole`, or in the file."""

    summary: str
    format: Format
    resources: dict[str, int] = Field(description="How many of each type")
    outputs: list[str] = Field(description="Values that it gives when deployed")
    left_out: list[str] = Field([], description="What it has not of what was asked for, and why")
    text: str = ""
    whole: str = Field("", description='Resource with {"text": …}, where it is long; for an hour')
    path: str = ""


@record_tool(toolset="export")
def export_application(
    steps: Annotated[
        list[Step], Field(description="In the order of building", min_length=1, max_length=20)
    ],
    format: As = "cloudformation",
    path: NewFile = None,
    target: Target = HERE,
) -> Export:
    """Write what building tools would make as CloudFormation, Terraform or a script."""
    assembly = assemble(aws(target), target, steps, runtime().makers)
    return _exported(assembly, format, path)


@record_tool(toolset="export")
def export_resources(
    resource_ids: Annotated[
        list[str], Field(description="Ids, ARNs or names", max_length=100)
    ] = [],  # noqa: B006 (pydantic copies it)
    vpc_id: Annotated[str, Field(description="All in this VPC")] | None = None,
    tag: Annotated[str, Field(description="All with key or key=value")] | None = None,
    format: As = "cloudformation",
    path: NewFile = None,
    target: Target = HERE,
) -> Export:
    """Write what exists, whoever made it, as CloudFormation, Terraform or a script."""
    a = aws(target)
    if not (resource_ids or vpc_id or tag):
        raise BadInputError("Say what to export: resource_ids, a vpc_id or a tag.")
    reading = choose(a, resource_ids, vpc_id, tag)
    vpcs = [item for kind, item in reading.found if kind.type == "ec2:vpc"]
    name = tags_of(vpcs[0].get("Tags")).get("Name") if vpcs else None
    words = re.findall("[A-Za-z0-9]+", name or vpc_id or tag or resource_ids[0])
    assembly, left_out = described(a, "-".join(words)[:60] or "resources", reading.found)
    if not assembly.parts:
        raise BadInputError(f"None of it can be exported: {'; '.join(left_out[:10])}.")
    if format == "cloudformation":
        assembly.outputs = {}  # an import into a stack may not add any
    exported = _exported(assembly, format, path)
    unread = [f"not read: {said}" for said in reading.unread]
    return exported.model_copy(update={"left_out": left_out + unread})


def _exported(assembly: Assembly, written_as: Format, path: str | None) -> Export:
    text = WRITERS[written_as](assembly)
    size = len(text.encode())
    export = Export(
        summary=f"{assembly.name}: {len(assembly.parts)} resources as {written_as} "
        f"for {assembly.region}, {size} bytes",
        format=written_as,
        resources=dict(Counter(part.type for part in assembly.parts)),
        outputs=list(assembly.outputs),
    )
    if path is not None:
        file = local_path(path)
        if not file.is_absolute() or file.suffix != ENDINGS[written_as]:
            raise BadInputError(
                f"{path[:80]!r} is not the absolute path of a {ENDINGS[written_as]} file."
            )
        with written_whole(file) as written:
            written.write(text)
        return export.model_copy(update={"path": str(file)})
    if size <= MOST_SHOWN_BYTES:
        return export.model_copy(update={"text": text})
    whole, _ = runtime().results.keep({"text": text})
    return export.model_copy(update={"whole": whole})
