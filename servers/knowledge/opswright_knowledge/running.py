"""Judges which version runs, by the record of deployments to one place."""

from collections.abc import Sequence

from opswright_knowledge.records import Deployment, Running


def judge(newest_first: Sequence[Deployment]) -> Running:
    """Tell what runs where these deployments (one and more, all to one place) were made.

    The newest that ended well runs; one that was rolled back left its rollback target. One that
    failed or is under way leaves open what runs: `version` is None then, and `note` says why.
    `previous` is the version to go back to: the other one that succeeded last before it.
    """
    newest = newest_first[0]
    succeeded = [one for one in newest_first if one.status == "succeeded"]
    version, since, note = None, None, ""
    if newest.status == "succeeded":
        version, since = newest.version, newest.at
    elif newest.status == "rolled_back" and newest.rollback_target:
        version, since = newest.rollback_target, newest.at
        note = f"{newest.version} was rolled back"
    else:
        state = {"failed": "failed", "rolled_back": "was rolled back, to what is not recorded"}
        note = f"{newest.version} {state.get(newest.status, f'is {newest.status}')}"
        if succeeded:
            note += f"; before it, {succeeded[0].version} ran"
    told = newest.rollback_target if newest.status == "succeeded" else None
    earlier = [one.version for one in succeeded if one.version != version]
    return Running(
        application=newest.application,
        environment=newest.environment,
        version=version,
        since=since,
        previous=told or next(iter(earlier), None),
        last_version=newest.version,
        last_status=newest.status,
        last_at=newest.at,
        note=note,
    )
