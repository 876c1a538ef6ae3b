"""Where a stack's resources are no longer as its template says."""

import time
from typing import Any

from pydantic import BaseModel, Field

from opswright_core.aws import Aws
from opswright_core.errors import OpswrightError
from opswright_core.text import clean

DETECTION_SECONDS = 20.0
"""How long a detection is waited for in one call; it goes on at AWS, and a repeat finds it."""

DIFFERENCES = 20


class Difference(BaseModel):
    """One property that is not as the template says; `path` is a JSON pointer."""

    path: str
    kind: str = Field(description="ADD, REMOVE or NOT_EQUAL")
    expected: str
    actual: str


class DriftedResource(BaseModel):
    """A resource that was changed, or deleted, outside of CloudFormation."""

    resource: str
    type: str
    physical_id: str
    status: str = Field(description="MODIFIED or DELETED")
    differences: list[Difference]


def detect(a: Aws, stack: str) -> dict[str, Any]:
    """Have CloudFormation compare, and wait. Raises OpswrightError when it fails or lasts."""
    cfn = a.client("cloudformation")
    which = cfn.detect_stack_drift(StackName=stack)["StackDriftDetectionId"]
    deadline = time.monotonic() + DETECTION_SECONDS
    while True:
        found: dict[str, Any] = cfn.describe_stack_drift_detection_status(
            StackDriftDetectionId=which
        )
        status = found["DetectionStatus"]
        if status == "DETECTION_COMPLETE":
            return found
        if status == "DETECTION_FAILED":
            raise OpswrightError(
                f"CloudFormation could not compare all of the stack: "
                f"{clean(found.get('DetectionStatusReason', 'it does not say why'), 400)}"
            )
        if time.monotonic() > deadline:
            raise OpswrightError(
                f"CloudFormation is still comparing after {DETECTION_SECONDS:.0f} s. "
                "Call again in a minute."
            )
        time.sleep(0.2 if a.is_emulator else 2)


def drifted(a: Aws, stack: str) -> list[DriftedResource]:
    """The resources that the last detection found changed or deleted."""
    found = a.pages(
        "cloudformation",
        "describe_stack_resource_drifts",
        "StackResourceDrifts",
        StackName=stack,
        StackResourceDriftStatusFilters=["MODIFIED", "DELETED"],
    )
    return [_drifted(item) for item in found]


def _drifted(item: dict[str, Any]) -> DriftedResource:
    return DriftedResource(
        resource=item["LogicalResourceId"],
        type=item["ResourceType"],
        physical_id=clean(item.get("PhysicalResourceId", ""), 300),
        status=item["StackResourceDriftStatus"],
        differences=[
            Difference(
                path=clean(d["PropertyPath"], 200),
                kind=d["DifferenceType"],
                expected=clean(d["ExpectedValue"], 300),
                actual=clean(d["ActualValue"], 300),
            )
            for d in (item.get("PropertyDifferences") or [])[:DIFFERENCES]
        ],
    )
