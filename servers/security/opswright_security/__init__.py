"""The security server of opswright."""
