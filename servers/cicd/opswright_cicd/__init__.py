"""The CI/CD server of opswright."""
