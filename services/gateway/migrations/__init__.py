"""The schema's versions."""

from pathlib import Path

VERSIONS = Path(__file__).parent / "versions"
