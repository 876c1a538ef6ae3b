"""Reads IAM's credential report: what every user signs in with, in two calls for all of them."""

import csv
import io
import time
from datetime import datetime
from typing import Any

from opswright_core.errors import CloudError
from opswright_security.reading import Reader

WAIT_SECONDS = 10.0
PAUSE_SECONDS = 0.5
_NONE = {"", "N/A", "no_information", "not_supported"}


def load_credential_report(reader: Reader) -> dict[str, dict[str, Any]]:
    """`console`, `mfa` and `keys` of each user by name, as `load_users` has them.

    IAM makes a report anew every four hours at most, so what was mended since is not in it. It
    counts a user's keys and does not name them: they are `key 1` and `key 2`. Raises CloudError.
    Source: IAM User Guide, "Generate credential reports".
    """
    until = time.monotonic() + WAIT_SECONDS
    while reader.call("iam", "generate_credential_report").get("State") != "COMPLETE":
        if time.monotonic() > until:
            raise CloudError(
                "IAM has not finished its credential report yet; audit again in a minute.",
                operation="iam:GenerateCredentialReport",
            )
        time.sleep(PAUSE_SECONDS)
    content = reader.call("iam", "get_credential_report")["Content"].decode()
    return {row["user"]: _credentials(row) for row in csv.DictReader(io.StringIO(content))}


def _credentials(row: dict[str, str]) -> dict[str, Any]:
    keys = [
        {
            "AccessKeyId": f"key {number}",
            "Status": "Active" if row[f"access_key_{number}_active"] == "true" else "Inactive",
            "CreateDate": created,
            "LastUsed": _date(row[f"access_key_{number}_last_used_date"]),
        }
        for number in (1, 2)
        if (created := _date(row[f"access_key_{number}_last_rotated"]))
    ]
    return {
        "console": row["password_enabled"] == "true",  # noqa: S105 (a column, no password)
        "mfa": row["mfa_active"] == "true",
        "keys": keys,
    }


def _date(text: str) -> datetime | None:
    return None if text in _NONE else datetime.fromisoformat(text)
