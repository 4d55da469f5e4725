"""What providers post to us. Unlike our own clients they may send fields that we do not know."""

from typing import Annotated, Literal

from pydantic import BaseModel, Field, StringConstraints

from services.gateway.schemas.fields import Answer, NoNul, Text, Time

MAX_RECEIPTS = 1000


class Receipt(BaseModel):
    id: Annotated[str, StringConstraints(min_length=1, max_length=255), NoNul]
    status: Literal["delivered", "failed"]
    reason: Text | None = None
    at: Time | None = None


class Receipts(BaseModel):
    receipts: Annotated[list[Receipt], Field(max_length=MAX_RECEIPTS)]


class ReceiptsTaken(Answer):
    stored: int
