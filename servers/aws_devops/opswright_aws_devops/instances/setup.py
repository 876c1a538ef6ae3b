"""What instances are launched with: image, launch data, permissions, first boot."""

import base64
import json
from dataclasses import dataclass
from typing import Annotated, Any

from pydantic import Field

from opswright_aws_devops.lookup import must_exist
from opswright_aws_devops.ownership import Request
from opswright_core.aws import Aws, is_absent
from opswright_core.errors import BadInputError

IMAGE_PARAMETER = "/aws/service/ami-amazon-linux-latest/al2023-ami-kernel-default-{}"
"""AWS's public parameter with the newest Amazon Linux 2023 image of an architecture."""

SESSION_MANAGER_POLICY = "arn:{}:iam::aws:policy/AmazonSSMManagedInstanceCore"
ROOT_DISK_GB = 10
ROOT_DEVICE = "/dev/xvda"
"""The name of the first disk in Amazon Linux images."""

NEWEST = "al2023"

ImageName = Annotated[
    str,
    Field(
        description="al2023 (newest), an AMI id, or an SSM parameter that holds one",
        pattern=r"^(al2023|ami-[0-9a-f]{8,17}|/[A-Za-z0-9._/-]{1,500})$",
    ),
]

InstanceType = Annotated[str, Field(description="Size", max_length=40)]
DiskSize = Annotated[int, Field(description="First disk", ge=8, le=16384)]
BootScript = Annotated[
    str, Field(description="Script of the first boot; no secrets", max_length=16_000)
]

_FIRST_BOOT = """#!/bin/bash
# Answers the health check until the first release is deployed.
cat >/opt/placeholder.py <<'EOF'
from http.server import BaseHTTPRequestHandler, HTTPServer

class Placeholder(BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.end_headers()
        self.wfile.write(b"No release deployed yet.\\n")

HTTPServer(("", {port}), Placeholder).serve_forever()
EOF
systemd-run --unit=placeholder --property=DynamicUser=yes --property=Restart=always \\
  --property=AmbientCapabilities=CAP_NET_BIND_SERVICE python3 /opt/placeholder.py
"""


@dataclass(frozen=True)
class Image:
    """What is booted."""

    id: str
    root_device: str


def find_architecture(a: Aws, instance_type: str) -> str:
    """The architecture of an instance type: arm64 or x86_64. Raises BadInputError."""
    ec2 = a.client("ec2")
    try:
        (described,) = ec2.describe_instance_types(InstanceTypes=[instance_type])["InstanceTypes"]
    except Exception as exc:
        if is_absent(exc) or "InvalidInstanceType" in str(exc):
            raise BadInputError(
                f"instance_type {instance_type!r} is not offered in {a.region}; try t3.small."
            ) from exc
        raise
    architectures = described["ProcessorInfo"]["SupportedArchitectures"]
    return "arm64" if "arm64" in architectures else "x86_64"


def find_image(a: Aws, instance_type: str) -> str:
    """Id of the newest Amazon Linux 2023 image for an instance type. Raises BadInputError."""
    parameter = IMAGE_PARAMETER.format(find_architecture(a, instance_type))
    image_id: str = a.client("ssm").get_parameter(Name=parameter)["Parameter"]["Value"]
    return image_id


def choose_image(a: Aws, image: str, instance_type: str) -> Image:
    """The image of an id, of a parameter, or the newest Amazon Linux. Raises NotFoundError."""
    newest = find_image(a, instance_type)  # says also whether the region offers the type
    if image == NEWEST:
        return Image(newest, ROOT_DEVICE)
    ec2, image_id = a.client("ec2"), image
    if image.startswith("/"):
        ssm = a.client("ssm")
        image_id = must_exist(
            f"SSM parameter {image}", lambda: ssm.get_parameter(Name=image)["Parameter"]["Value"]
        )
    found = must_exist(
        f"Image {image_id}", lambda: ec2.describe_images(ImageIds=[image_id])["Images"]
    )
    if not found:
        raise BadInputError(f"Image {image_id} is not one that this account may launch.")
    return Image(image_id, found[0].get("RootDeviceName") or ROOT_DEVICE)


def first_boot(app_port: int) -> str:
    """The script that answers the health check until the first release."""
    return _FIRST_BOOT.replace("{port}", str(app_port))


def launch_data(
    request: Request,
    *,
    image_id: str,
    instance_type: str,
    profile_arn: str,
    security_group_ids: list[str],
    user_data: str,
    disk_gb: int = ROOT_DISK_GB,
    root_device: str = ROOT_DEVICE,
) -> dict[str, Any]:
    """EC2's `LaunchTemplateData`: IMDSv2 only, encrypted disk, no key pair, tagged."""
    disk = {
        "Encrypted": True,
        "VolumeType": "gp3",
        "VolumeSize": disk_gb,
        "DeleteOnTermination": True,
    }
    return {
        "ImageId": image_id,
        "InstanceType": instance_type,
        "IamInstanceProfile": {"Arn": profile_arn},
        "SecurityGroupIds": security_group_ids,
        "MetadataOptions": {
            "HttpTokens": "required",
            "HttpEndpoint": "enabled",
            "HttpPutResponseHopLimit": 1,
        },
        "BlockDeviceMappings": [{"DeviceName": root_device, "Ebs": disk}],
        "UserData": base64.b64encode(user_data.encode()).decode(),
        "TagSpecifications": [
            {"ResourceType": kind, "Tags": request.tag_list(request.name)}
            for kind in ("instance", "volume")
        ],
    }


def releases_policy(partition: str, bucket: str) -> str:
    """Read the bucket's releases, and nothing else of it."""
    statement = {
        "Effect": "Allow",
        "Action": "s3:GetObject",
        "Resource": f"arn:{partition}:s3:::{bucket}/releases/*",
    }
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]})
