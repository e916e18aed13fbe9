"""Uploads, import drafts, versions of datasets, and a split that is stored with the dataset.

Datasets of the first schema had no split of their own; each run shuffled. They get the split that
those runs had by default: 15 % validation and 15 % test of a shuffle with seed 0.
"""

import numpy as np
import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    op.create_table(
        "uploads",
        sa.Column("id", sa.String(16), primary_key=True),
        sa.Column("actor", sa.String(200), nullable=False),
        sa.Column("file_name", sa.String(255), nullable=False),
        sa.Column("size_bytes", sa.BigInteger, nullable=False),
        sa.Column("created_at", sa.Float, nullable=False),
        sa.Column("touched_at", sa.Float, nullable=False),
        sa.Column("digests", sa.JSON, nullable=False),
    )
    op.create_table(
        "drafts",
        sa.Column("id", sa.String(16), primary_key=True),
        sa.Column("name", sa.String(200), nullable=False),
        sa.Column("actor", sa.String(200), nullable=False),
        sa.Column("created_at", sa.Float, nullable=False),
        sa.Column("source", sa.String(4000), nullable=False),
        sa.Column("plan", sa.JSON),
        sa.Column("job_id", sa.String(16), sa.ForeignKey("jobs.id"), nullable=False, index=True),
    )
    # Plain ADD COLUMN: SQLite's other way copies the table, and dropping the old one would
    # cascade to everything that refers to it.
    for column in (
        sa.Column("plan", sa.JSON),
        sa.Column("parent_id", sa.String(16)),
        sa.Column("change", sa.JSON),
        sa.Column("tags", sa.JSON, nullable=False, server_default="[]"),
        sa.Column("notes", sa.Text, nullable=False, server_default=""),
    ):
        op.add_column("datasets", column)
    op.create_index("ix_datasets_parent_id", "datasets", ["parent_id"])
    for column in (
        sa.Column("split", sa.String(10), nullable=False, server_default="train"),
        sa.Column("fold", sa.Integer),
        sa.Column("group_name", sa.String(1000)),
        sa.Column("twins", sa.Integer),
        sa.Column("facts", sa.JSON, nullable=False, server_default="{}"),
    ):
        op.add_column("samples", column)
    _split_datasets(op.get_bind())


def _split_datasets(connection: sa.Connection) -> None:
    datasets = sa.table("datasets", sa.column("id"), sa.column("num_samples"))
    samples = sa.table(
        "samples", sa.column("dataset_id"), sa.column("position"), sa.column("split")
    )
    for row in connection.execute(sa.select(datasets.c.id, datasets.c.num_samples)).all():
        for split, positions in _default_split(row.num_samples).items():
            # In portions, because a statement takes a limited number of values.
            for start in range(0, len(positions), 500):
                chosen = samples.c.position.in_(positions[start : start + 500])
                connection.execute(
                    samples.update()
                    .where(samples.c.dataset_id == row.id, chosen)
                    .values(split=split)
                )


def _default_split(num_samples: int) -> dict[str, list[int]]:
    if num_samples < 2:
        return {}
    num_val = max(1, round(num_samples * 0.15))
    num_test = max(1, round(num_samples * 0.15)) if num_samples >= 3 else 0
    generator = np.random.Generator(np.random.PCG64(0))
    shuffled: list[int] = generator.permutation(num_samples).tolist()
    return {"val": shuffled[:num_val], "test": shuffled[num_val : num_val + num_test]}
