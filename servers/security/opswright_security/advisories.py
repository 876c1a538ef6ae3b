"""Looks packages up in the OSV advisory database (https://osv.dev), by its batch API."""

from collections.abc import Sequence
from typing import Any

from opswright_core.verdicts import Unread
from opswright_security.lockfiles import Package

OSV_URL = "https://api.osv.dev"
BATCH = 1000
"""Most queries in one request, by OSV's documentation."""
TIMEOUT_SECONDS = 15.0


def look_up(packages: Sequence[Package], url: str = OSV_URL) -> dict[Package, list[str]] | Unread:
    """Advisory ids of each package that has any; Unread when the database cannot be asked."""
    import httpx

    found: dict[Package, list[str]] = {}
    try:
        with httpx.Client(base_url=url, timeout=TIMEOUT_SECONDS) as client:
            for start in range(0, len(packages), BATCH):
                batch = packages[start : start + BATCH]
                answer = client.post("/v1/querybatch", json={"queries": [_query(p) for p in batch]})
                answer.raise_for_status()
                results = answer.json()["results"]
                for package, result in zip(batch, results, strict=True):
                    if ids := [v["id"] for v in (result or {}).get("vulns", [])]:
                        found[package] = sorted(ids)
    except (httpx.HTTPError, ValueError, KeyError, TypeError) as exc:
        reason = f"advisory database not reachable at {url} ({type(exc).__name__})"
        return Unread(operation="osv:querybatch", reason=reason)
    return found


def _query(package: Package) -> dict[str, Any]:
    return {
        "package": {"name": package.name, "ecosystem": package.ecosystem},
        "version": package.version,
    }
