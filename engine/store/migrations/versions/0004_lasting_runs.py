"""What a queue needs to be fair and its jobs to outlive their processes; what people write on runs;
what a machine was doing; what was to be told to whom.
"""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    _extend_jobs()
    for column in (
        sa.Column("adjustments", sa.JSON, nullable=False, server_default="{}"),
        sa.Column("scored_at", sa.Float),
        sa.Column("tags", sa.JSON, nullable=False, server_default="[]"),
        sa.Column("notes", sa.Text, nullable=False, server_default=""),
        sa.Column("archived", sa.Boolean, nullable=False, server_default=sa.false()),
    ):
        op.add_column("runs", column)
    op.execute(
        "UPDATE runs SET scored_at = (SELECT ended_at FROM jobs WHERE jobs.id = runs.job_id) "
        "WHERE EXISTS (SELECT 1 FROM scores WHERE scores.run_id = runs.id)"
    )
    # Workers announce themselves anew; one of an earlier version counts as gone.
    op.drop_table("workers")
    op.create_table(
        "workers",
        sa.Column("host", sa.String(200), primary_key=True),
        sa.Column("pid", sa.Integer, nullable=False),
        sa.Column("stamp", sa.String(80), nullable=False),
        sa.Column("heartbeat_at", sa.Float, nullable=False),
    )
    op.create_table(
        "machine_samples",
        sa.Column("host", sa.String(200), primary_key=True),
        sa.Column("at", sa.Float, primary_key=True),
        sa.Column("cpu_share", sa.Float, nullable=False),
        sa.Column("memory_used_bytes", sa.BigInteger, nullable=False),
        sa.Column("memory_total_bytes", sa.BigInteger, nullable=False),
        sa.Column("disk_free_bytes", sa.BigInteger, nullable=False),
        sa.Column("disk_total_bytes", sa.BigInteger, nullable=False),
        sa.Column("gpus", sa.JSON, nullable=False),
    )
    op.create_table(
        "notices",
        sa.Column(
            "job_id", sa.String(16), sa.ForeignKey("jobs.id", ondelete="CASCADE"), primary_key=True
        ),
        sa.Column("attempt", sa.Integer, primary_key=True),
        sa.Column("channel", sa.String(20), primary_key=True),
        sa.Column("created_at", sa.Float, nullable=False),
        sa.Column("tries", sa.Integer, nullable=False),
        sa.Column("next_try_at", sa.Float),
        sa.Column("sent_at", sa.Float),
        sa.Column("error", sa.Text),
    )


def _extend_jobs() -> None:
    for column in (
        sa.Column("wish", sa.String(10)),
        sa.Column("priority", sa.Integer, nullable=False, server_default="0"),
        sa.Column("rank", sa.Float, nullable=False, server_default="0"),
        sa.Column("slot", sa.String(80)),
        sa.Column("attempts", sa.Integer, nullable=False, server_default="0"),
        sa.Column("retries", sa.Integer, nullable=False, server_default="0"),
        sa.Column("queued_at", sa.Float, nullable=False, server_default="0"),
        sa.Column("waited_seconds", sa.Float, nullable=False, server_default="0"),
        sa.Column("ran_seconds", sa.Float, nullable=False, server_default="0"),
        sa.Column("start_progress", sa.Float, nullable=False, server_default="0"),
        sa.Column("incidents", sa.JSON, nullable=False, server_default="[]"),
    ):
        op.add_column("jobs", column)
    op.execute("UPDATE jobs SET wish = 'stop' WHERE stop_requested")
    op.execute("UPDATE jobs SET rank = created_at, queued_at = created_at")
    op.execute(
        "UPDATE jobs SET attempts = 1, waited_seconds = started_at - created_at "
        "WHERE started_at IS NOT NULL"
    )
    op.execute(
        "UPDATE jobs SET ran_seconds = ended_at - started_at "
        "WHERE started_at IS NOT NULL AND ended_at IS NOT NULL"
    )
    # A process that an earlier version started cannot be told from others by its stamp.
    op.execute("UPDATE jobs SET handle = NULL WHERE status = 'running'")
    op.drop_column("jobs", "stop_requested")
