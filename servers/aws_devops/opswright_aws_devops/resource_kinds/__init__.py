"""The kinds of resources that can be listed: a table for each subject, and how they are read."""

from opswright_aws_devops.resource_kinds import compute, data, governance, network, requested
from opswright_aws_devops.resource_kinds.kind import (
    Items as Items,
)
from opswright_aws_devops.resource_kinds.kind import (
    Resource as Resource,
)
from opswright_aws_devops.resource_kinds.kind import (
    ResourceKind as ResourceKind,
)
from opswright_aws_devops.resource_kinds.kind import (
    as_resource as as_resource,
)
from opswright_aws_devops.resource_kinds.kind import (
    found_at as found_at,
)
from opswright_aws_devops.resource_kinds.kind import (
    has_tag as has_tag,
)
from opswright_aws_devops.resource_kinds.kind import (
    in_vpc as in_vpc,
)
from opswright_aws_devops.resource_kinds.kind import (
    own_name as own_name,
)
from opswright_aws_devops.resource_kinds.kind import (
    values_in as values_in,
)

KINDS: tuple[ResourceKind, ...] = (
    *network.KINDS,
    *compute.KINDS,
    *data.KINDS,
    *governance.KINDS,
    *requested.KINDS,
)
INVENTORY = tuple(kind for kind in KINDS if not kind.is_on_request)
"""What is read where no type is named."""
ON_REQUEST = tuple(kind for kind in KINDS if kind.is_on_request)
