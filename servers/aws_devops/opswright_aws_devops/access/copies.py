"""With whom a copy of data is shared: snapshots of disks and databases, machine images. Pure."""

from collections.abc import Iterable

from opswright_aws_devops.access.resource_access import Exposure, few


def judge_shares(
    account_id: str, *, is_for_all: bool, accounts: Iterable[str] = (), others: Iterable[str] = ()
) -> tuple[Exposure, str]:
    """Whether a copy is public or shared.

    `accounts` are account ids, `others` ARNs of organizations and units.
    """
    if is_for_all:
        return "yes", "every AWS account may make its own from it"
    foreign = [f"account {one}" for one in accounts if one != account_id]
    foreign += others
    if foreign:
        return "other accounts", f"it is shared with {few(foreign)}"
    return "no", "it is shared with nobody"


def judge_snapshot(
    account_id: str, permissions: Iterable[dict[str, str]], block: str | None
) -> tuple[Exposure, str]:
    """The same for an EBS snapshot: `permissions` of createVolumePermission.

    `block` is the region's block of public access to snapshots (None: not asked, as none is
    public). Source: "Block public access for Amazon EBS snapshots": `block-all-sharing` makes
    public ones private, `block-new-sharing` leaves those that are public already.
    """
    permissions = list(permissions)
    accounts = [p["UserId"] for p in permissions if "UserId" in p]
    is_for_all = any(p.get("Group") == "all" for p in permissions)
    if is_for_all and block == "block-all-sharing" and not accounts:
        return "no", "it is shared with all, but the region's block of public access holds them off"
    return judge_shares(
        account_id, is_for_all=is_for_all and block != "block-all-sharing", accounts=accounts
    )
