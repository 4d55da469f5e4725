"""Emails with HTML, WhatsApp's templates, and campaigns made with a test key.

Revision ID: 0003
"""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    for name in ("html", "whatsapp"):
        op.add_column("templates", sa.Column(name, sa.Text(), nullable=True))
        op.add_column("campaigns", sa.Column(f"started_{name}", sa.Text(), nullable=True))
    op.add_column("campaigns", sa.Column("is_test", sa.Boolean(), server_default=sa.text("false"), nullable=False))


def downgrade() -> None:
    for name in ("html", "whatsapp"):
        op.drop_column("templates", name)
        op.drop_column("campaigns", f"started_{name}")
    op.drop_column("campaigns", "is_test")
