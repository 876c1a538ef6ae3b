"""The IAM actions that each tool needs: none, the store is opswright's own."""

PERMISSIONS: dict[str, tuple[str, ...]] = {}
