"""Container images: whether one is in ECR, is there, and names one version for ever."""

import re
from dataclasses import dataclass

from opswright_aws_devops.lookup import must_exist
from opswright_core.aws import Aws
from opswright_core.errors import BadInputError

_ECR_IMAGE = re.compile(
    r"(?P<account>\d{12})\.dkr\.ecr\.(?P<region>[a-z0-9-]+)\.amazonaws\.com(?:\.cn)?/"
    r"(?P<repository>[a-z0-9._/-]+?)(?::(?P<tag>[\w.-]+))?(?:@(?P<digest>sha256:[0-9a-f]{64}))?"
)

_REFERENCE = re.compile(r"[\w][\w./:@+-]*")
"""What an image reference may hold: host, port, path, tag and digest."""


@dataclass(frozen=True)
class EcrImage:
    """An image in ECR; it has a tag, a digest or both."""

    account: str
    region: str
    repository: str
    tag: str | None
    digest: str | None

    @property
    def id(self) -> dict[str, str]:
        """ECR's `imageId`: the digest, which names one image for ever, before the tag."""
        if self.digest:
            return {"imageDigest": self.digest}
        return {"imageTag": self.tag or "latest"}


def ecr_image(image: str) -> EcrImage | None:
    """An image's parts when it is in ECR, else None."""
    match = _ECR_IMAGE.fullmatch(image)
    return EcrImage(**match.groupdict()) if match else None


def is_pinned(image: str) -> bool:
    """Whether an image is named by a digest, or by a tag that does not move by its name."""
    name = image.rsplit("/", 1)[-1]
    return "@sha256:" in image or (":" in name and not name.endswith(":latest"))


def about_image(a: Aws, image: str) -> list[str]:
    """What is to be known of an image.

    Raises BadInputError for what is no image, NotFoundError for one missing from our ECR.
    """
    if not _REFERENCE.fullmatch(image) or not image.isascii():
        raise BadInputError(
            f"image {image!r} is no image: name it like repository:1.4.2, or by its digest as "
            "repository@sha256:…"
        )
    found, said = ecr_image(image), []
    if found is None:
        said.append(f"{image} is not in ECR: it is pulled through the internet at each start.")
    elif (found.account, found.region) == (a.account_id, a.region):
        ecr = a.client("ecr")
        which = {"repositoryName": found.repository, "imageIds": [found.id]}
        must_exist(f"Image {image}", lambda: ecr.describe_images(**which))
    elif found.account != a.account_id:
        said.append(f"{image} is in another account, whose repository has to allow the pull.")
    if not is_pinned(image):
        said.append(f"{image} names no fixed version: tasks may run different ones.")
    return said
