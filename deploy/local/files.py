"""Files that hold secrets or are read while they are written."""

import os
from pathlib import Path


def write_private(path: Path, text: str) -> None:
    """Readable by its owner only, and never seen half written."""
    scratch = path.with_name(f".{path.name}.{os.getpid()}")
    with os.fdopen(os.open(scratch, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
        file.write(text)
    scratch.replace(path)
