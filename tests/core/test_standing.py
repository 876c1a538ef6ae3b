"""Which later change has set again what an earlier one set: the order in which undo is safe."""

from typing import Any

import pytest

from opswright_core.changes import Record
from opswright_core.standing import set_again, uses


def change(
    operation: str, params: dict[str, Any], *, resource: str = "q", action: str = "modified"
) -> Record:
    step = {
        "resource": {"type": "sqs:queue", "id": resource, "action": action},
        "undo": [
            {
                "kind": "aws",
                "description": "as before",
                "args": {"service": "sqs", "operation": operation, "params": params},
            }
        ],
    }
    return Record("ch-1", steps={"set": step})


def tags(*keys: str) -> dict[str, Any]:
    return {"Resources": ["q"], "Tags": [{"Key": key, "Value": "old"} for key in keys]}


SET = "set_queue_attributes"
ADDED = {"GroupId": "q", "IpPermissions": [{"FromPort": 80, "ToPort": 80}]}


@pytest.mark.parametrize(
    ("earlier", "later", "again"),
    [
        ((SET, {"Attributes": {"Delay": "1"}}), (SET, {"Attributes": {"Delay": "2"}}), True),
        ((SET, {"Attributes": {"Delay": "1"}}), (SET, {"Attributes": {"Wait": "2"}}), False),
        # Set, set back, set again: what is to be given back is the same.
        ((SET, {"Attributes": {"Delay": "1"}}), (SET, {"Attributes": {"Delay": "1"}}), True),
        (("put_logging", {"To": {}}), ("put_logging", {"To": {"Bucket": "x"}}), True),
        (("delete_logging", {"Q": "q"}), ("put_logging", {"Q": "q", "To": "x"}), True),
        (("put_logging", {"Q": "q"}), ("put_policy", {"Q": "q"}), False),
        (("create_tags", tags("a")), ("create_tags", tags("b")), False),
        (("create_tags", tags("a")), ("delete_tags", tags("b", "a")), True),
        (
            ("revoke_ingress", ADDED),
            ("revoke_ingress", {**ADDED, "IpPermissions": [{"FromPort": 22, "ToPort": 22}]}),
            False,
        ),
        (("revoke_ingress", ADDED), ("authorize_ingress", ADDED), True),
        (("update_f", {"F": "f", "Layers": ["a"]}), ("update_f", {"F": "f", "Layers": []}), True),
        (("update_f", {"F": "f", "Layers": ["a"]}), ("update_f", {"F": "f", "Size": 1}), False),
    ],
)
def test_a_setting_is_set_again_when_both_inverses_give_it_back(
    earlier: tuple[str, Any], later: tuple[str, Any], again: bool
) -> None:
    assert set_again(change(*earlier), change(*later)) == ("q" if again else "")
    assert set_again(change(*later), change(*earlier)) == ("q" if again else "")


def test_another_thing_and_what_was_made_are_not_set_again() -> None:
    first = change(SET, {"Delay": "1"})
    assert set_again(first, change(SET, {"Delay": "2"}, resource="other")) == ""
    assert set_again(first, change(SET, {"Delay": "2"}, action="created")) == ""


def test_a_change_uses_what_it_was_given_and_not_what_it_is_called() -> None:
    user = Record("ch-2", arguments={"name": "shop", "subnet_ids": ["subnet-0a", "subnet-0b"]})
    assert uses(user, ["subnet-0b"])
    assert not uses(user, ["subnet-0"])
    assert not uses(user, ["shop"])
