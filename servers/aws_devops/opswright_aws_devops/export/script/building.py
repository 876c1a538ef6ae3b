"""How an exported script makes what is missing. Copied into it as it stands; boto3 alone."""

from collections.abc import Callable
from typing import Any

TAG = "export:part"
"""The tag that tells what this script made from everything else of the same name."""


class Missing(dict[str, Any]):
    """A part that a dry run did not make: each of its attributes is told by name."""

    def __init__(self, key: str) -> None:
        self.key = key

    def __missing__(self, attribute: str) -> str:
        return f"<{attribute} of {self.key}>"


class Building:
    """One run: with whose session, under which name, and whether it may change anything."""

    def __init__(self, session: Any, name: str, dry_run: bool) -> None:
        self.session, self.name, self.dry_run = session, name, dry_run
        self.clients: dict[str, Any] = {}

    def client(self, service: str) -> Any:
        """A client of a service, made once."""
        if service not in self.clients:
            self.clients[service] = self.session.client(service)
        return self.clients[service]

    def tags(self, key: str, tags: list[dict[str, str]]) -> list[dict[str, str]]:
        """A part's tags with the one by which a later run knows it again."""
        return [*tags, {"Key": TAG, "Value": f"{self.name}/{key}"}]

    def must_be_ours(self, key: str, what: str, tags: list[dict[str, str]]) -> None:
        """Stop at something of that name which this script did not make."""
        if {"Key": TAG, "Value": f"{self.name}/{key}"} not in [
            {"Key": tag["Key"], "Value": tag["Value"]} for tag in tags
        ]:
            raise SystemExit(f"{what} exists and was not made by this script: nothing is touched.")

    def part(
        self,
        key: str,
        kind: str,
        find: Callable[[], dict[str, Any] | None],
        create: Callable[[], dict[str, Any]],
    ) -> dict[str, Any]:
        """What an earlier run made, or what is made now; in a dry run, what would be made."""
        if found := find():
            print(f"there    {kind} {key}")
            return found
        if self.dry_run:
            print(f"missing  {kind} {key}")
            return Missing(key)
        made = create()
        print(f"created  {kind} {key}")
        return made

    def setting(self, call: Callable[..., Any], **parameters: Any) -> None:
        """Send what may be sent again without harm; in a dry run nothing."""
        if not self.dry_run:
            call(**parameters)

    def wait(self, service: str, waiter: str, **which: Any) -> None:
        """Wait until it is so; in a dry run not at all."""
        if not self.dry_run:
            self.client(service).get_waiter(waiter).wait(**which)


def or_none(call: Callable[[], Any], *codes: str) -> Any:
    """What a call gives, or None when its service says that there is no such thing."""
    from botocore.exceptions import ClientError

    try:
        return call()
    except ClientError as error:
        if error.response["Error"]["Code"] in codes:
            return None
        raise
