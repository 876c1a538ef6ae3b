"""The code of a Lambda function: from S3, a ZIP file or folder on this machine, or an image."""

import hashlib
import io
import zipfile
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from opswright_aws_devops.buckets.folders import walk
from opswright_aws_devops.containers.images import EcrImage, ecr_image
from opswright_aws_devops.lookup import must_exist
from opswright_core.aws import Aws
from opswright_core.errors import BadInputError
from opswright_core.local_paths import local_path

MOST_ZIPPED_BYTES = 50 * 1024 * 1024
MOST_BYTES = 250 * 1024 * 1024
"""What Lambda takes in a request, and what it unpacks (Lambda quotas)."""

_EXECUTABLE, _PLAIN = 0o755, 0o644
_FIRST_DAY = (1980, 1, 1, 0, 0, 0)
"""The same for every file, so that the same folder gives the same archive."""


@dataclass(frozen=True)
class FunctionCode:
    """Code that was found: `identity` changes when the code does."""

    identity: str
    is_image: bool
    parameters: Callable[[], dict[str, Any]]
    """Gives Lambda's `Code`."""
    warnings: list[str] = field(default_factory=list)


def find_code(a: Aws, source: str) -> FunctionCode:
    """The code that a text names: `s3://bucket/key`, an image in ECR, or a path on this machine.

    Raises NotFoundError for an object or image that is not there, BadInputError for what cannot
    be the code of a function.
    """
    if source.startswith("s3://"):
        return _in_s3(a, source)
    if image := ecr_image(source):
        return _image(a, source, image)
    path = local_path(source)
    if path.is_dir():
        return _folder(path.resolve())
    if path.is_file():
        return _archive(path)
    raise BadInputError(
        f"code {source[:200]!r}: give s3://bucket/key, a ZIP file or a folder on this machine, or "
        "an image in ECR with its tag or digest."
    )


def _in_s3(a: Aws, source: str) -> FunctionCode:
    parts = urlsplit(source)
    bucket, key = parts.netloc, parts.path.lstrip("/")
    if not bucket or not key:
        raise BadInputError(f"code {source[:200]!r}: give bucket and key, s3://bucket/key.")
    s3 = a.client("s3")
    found = must_exist(source, lambda: s3.head_object(Bucket=bucket, Key=key))
    version = found.get("VersionId")
    code = {"S3Bucket": bucket, "S3Key": key}
    if version and version != "null":
        code["S3ObjectVersion"] = version
    return FunctionCode(
        identity=f"{source} {found['ETag']} {version or ''}".strip(),
        is_image=False,
        parameters=lambda: code,
    )


def _image(a: Aws, source: str, image: EcrImage) -> FunctionCode:
    if image.region != a.region:
        raise BadInputError(
            f"code {source}: Lambda takes images from its own region alone, which is {a.region}."
        )
    if image.account != a.account_id:
        said = f"{source} is in another account, whose repository has to allow Lambda's pull."
        return FunctionCode(source, True, lambda: {"ImageUri": source}, [said])
    ecr = a.client("ecr")
    which = {"repositoryName": image.repository, "imageIds": [image.id]}
    (found,) = must_exist(f"Image {source}", lambda: ecr.describe_images(**which)["imageDetails"])
    registry = source.split("/", 1)[0]
    pinned = f"{registry}/{image.repository}@{found['imageDigest']}"
    return FunctionCode(pinned, True, lambda: {"ImageUri": pinned})


def _archive(path: Path) -> FunctionCode:
    if not zipfile.is_zipfile(path):
        raise BadInputError(f"code {path}: no ZIP file; name a folder to have it packed.")
    _check_size(path.name, path.stat().st_size, MOST_ZIPPED_BYTES)
    content = path.read_bytes()
    identity = hashlib.sha256(content).hexdigest()
    return FunctionCode(f"zip {identity}", False, lambda: {"ZipFile": content})


def _folder(root: Path) -> FunctionCode:
    skipped: list[str] = []
    files = [path for path in walk(root, skipped) if "__pycache__" not in path.parts]
    if not files:
        raise BadInputError(f"code {root}: the folder has no files.")
    _check_size(root.name, sum(path.stat().st_size for path in files), MOST_BYTES)
    identity = hashlib.sha256()
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        for path in files:
            content, name = path.read_bytes(), path.relative_to(root).as_posix()
            mode = _EXECUTABLE if path.stat().st_mode & 0o100 else _PLAIN
            identity.update(f"{name} {mode} {hashlib.sha256(content).hexdigest()}\n".encode())
            info = zipfile.ZipInfo(name, _FIRST_DAY)
            info.external_attr = mode << 16
            info.compress_type = zipfile.ZIP_DEFLATED
            archive.writestr(info, content)
    content = packed.getvalue()
    _check_size(root.name, len(content), MOST_ZIPPED_BYTES)
    left_out = f"Left out of the folder: {', '.join(skipped[:10])}" if skipped else ""
    return FunctionCode(
        identity=f"folder {identity.hexdigest()}",
        is_image=False,
        parameters=lambda: {"ZipFile": content},
        warnings=[f"{left_out} (hidden files and links are)."] if left_out else [],
    )


def _check_size(name: str, size_bytes: int, most_bytes: int) -> None:
    if size_bytes > most_bytes:
        raise BadInputError(
            f"code {name} has {size_bytes:,} bytes, and Lambda takes {most_bytes:,} this way: put "
            "the ZIP file in S3 and name it (s3://bucket/key), or make an image."
        )
