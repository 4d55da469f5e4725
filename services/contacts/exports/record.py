"""An export as it stands."""

from dataclasses import dataclass
from datetime import datetime
from typing import Literal
from uuid import UUID

Resource = Literal["contacts", "optouts", "segment_members", "recipients"]
Format = Literal["csv", "jsonl", "xlsx", "vcf"]


@dataclass(frozen=True, slots=True)
class Export:
    """`status`: queued, running, completed or failed. There is a file when it is completed, and not before."""

    id: UUID
    resource: Resource
    format: Format
    status: str
    # Records written so far, the header aside.
    rows: int
    bytes: int
    error: str
    created_at: datetime
    finished_at: datetime | None
    # None until it ended.
    expires_at: datetime | None
