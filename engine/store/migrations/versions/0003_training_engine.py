"""What a run was told about its settings and measured beforehand; more numbers of each epoch.

Epochs of earlier schemas have no IoU by class: an empty list.
"""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    # Plain ADD COLUMN, as in 0002.
    op.add_column("runs", sa.Column("reasons", sa.JSON, nullable=False, server_default="{}"))
    op.add_column("runs", sa.Column("preflight", sa.JSON))
    for column in (
        sa.Column("val_class_iou", sa.JSON, nullable=False, server_default="[]"),
        sa.Column("num_steps", sa.Integer),
        sa.Column("data_wait_share", sa.Float),
        sa.Column("peak_memory_bytes", sa.BigInteger),
        sa.Column("gpu_utilization", sa.Float),
    ):
        op.add_column("epochs", column)
