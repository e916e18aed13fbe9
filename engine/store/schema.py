"""The tables. Migrations in `migrations/versions/` build them; a test holds the two together.

Times are Unix seconds (UTC). Lists and nested values are JSON. No average is stored: scores are
integer counts, and every Dice is derived from them (see `engine.scores.rules`).
"""

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    Column,
    Float,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
)

SCHEMA_REVISION = "0004"
"""The newest migration; a database at another revision is upgraded when opened."""

metadata = MetaData()

datasets = Table(
    "datasets",
    metadata,
    Column("id", String(16), primary_key=True),
    Column("name", String(200), nullable=False),
    Column("actor", String(200), nullable=False),
    Column("created_at", Float, nullable=False),
    Column("content_hash", String(64), nullable=False),
    Column("num_samples", Integer, nullable=False),
    Column("num_channels", Integer, nullable=False),
    Column("classes", JSON, nullable=False),
    Column("report", JSON, nullable=False),
    Column("plan", JSON),
    Column("parent_id", String(16), index=True),
    Column("change", JSON),
    Column("tags", JSON, nullable=False),
    Column("notes", Text, nullable=False),
)

samples = Table(
    "samples",
    metadata,
    Column("dataset_id", ForeignKey("datasets.id", ondelete="CASCADE"), primary_key=True),
    Column("position", Integer, primary_key=True),
    Column("name", String(1000), nullable=False),
    Column("image_file", String(100), nullable=False),
    Column("mask_file", String(100), nullable=False),
    Column("width", Integer, nullable=False),
    Column("height", Integer, nullable=False),
    Column("class_pixels", JSON, nullable=False),
    Column("split", String(10), nullable=False),
    Column("fold", Integer),
    Column("group_name", String(1000)),
    Column("twins", Integer),
    Column("facts", JSON, nullable=False),
)

uploads = Table(
    "uploads",
    metadata,
    Column("id", String(16), primary_key=True),
    Column("actor", String(200), nullable=False),
    Column("file_name", String(255), nullable=False),
    Column("size_bytes", BigInteger, nullable=False),
    Column("created_at", Float, nullable=False),
    Column("touched_at", Float, nullable=False),
    Column("digests", JSON, nullable=False),
)

drafts = Table(
    "drafts",
    metadata,
    Column("id", String(16), primary_key=True),
    Column("name", String(200), nullable=False),
    Column("actor", String(200), nullable=False),
    Column("created_at", Float, nullable=False),
    Column("source", String(4000), nullable=False),
    Column("plan", JSON),
    Column("job_id", ForeignKey("jobs.id"), nullable=False, index=True),
)

jobs = Table(
    "jobs",
    metadata,
    Column("id", String(16), primary_key=True),
    Column("kind", String(20), nullable=False),
    Column("payload", JSON, nullable=False),
    Column("actor", String(200), nullable=False),
    Column("status", String(20), nullable=False),
    Column("created_at", Float, nullable=False),
    Column("started_at", Float),
    Column("ended_at", Float),
    Column("heartbeat_at", Float),
    Column("wish", String(10)),
    Column("progress", Float, nullable=False),
    Column("phase", String(40), nullable=False),
    Column("handle", JSON),
    Column("error", JSON),
    Column("result", JSON),
    Column("priority", Integer, nullable=False),
    Column("rank", Float, nullable=False),
    Column("slot", String(80)),
    Column("attempts", Integer, nullable=False),
    Column("retries", Integer, nullable=False),
    Column("queued_at", Float, nullable=False),
    Column("waited_seconds", Float, nullable=False),
    Column("ran_seconds", Float, nullable=False),
    Column("start_progress", Float, nullable=False),
    Column("incidents", JSON, nullable=False),
    Index("jobs_by_status", "status", "created_at"),
)

runs = Table(
    "runs",
    metadata,
    Column("id", String(16), primary_key=True),
    Column("name", String(200), nullable=False),
    Column("dataset_id", ForeignKey("datasets.id"), nullable=False, index=True),
    Column("job_id", ForeignKey("jobs.id"), nullable=False, unique=True),
    Column("actor", String(200), nullable=False),
    Column("created_at", Float, nullable=False),
    Column("config", JSON, nullable=False),
    Column("split", JSON, nullable=False),
    Column("num_parameters", Integer, nullable=False),
    Column("environment", JSON),
    Column("reasons", JSON, nullable=False),
    Column("preflight", JSON),
    Column("adjustments", JSON, nullable=False),
    Column("scored_at", Float),
    Column("tags", JSON, nullable=False),
    Column("notes", Text, nullable=False),
    Column("archived", Boolean, nullable=False),
)

epochs = Table(
    "epochs",
    metadata,
    Column("run_id", ForeignKey("runs.id", ondelete="CASCADE"), primary_key=True),
    Column("epoch", Integer, primary_key=True),
    Column("train_loss", Float, nullable=False),
    Column("val_loss", Float, nullable=False),
    Column("val_dice", Float, nullable=False),
    Column("val_iou", Float, nullable=False),
    Column("val_class_dice", JSON, nullable=False),
    Column("learning_rate", Float, nullable=False),
    Column("seconds", Float, nullable=False),
    Column("images_per_second", Float, nullable=False),
    Column("is_best", Boolean, nullable=False),
    Column("ended_at", Float, nullable=False),
    Column("val_class_iou", JSON, nullable=False),
    Column("num_steps", Integer),
    Column("data_wait_share", Float),
    Column("peak_memory_bytes", BigInteger),
    Column("gpu_utilization", Float),
)

scores = Table(
    "scores",
    metadata,
    Column("run_id", ForeignKey("runs.id", ondelete="CASCADE"), primary_key=True),
    Column("position", Integer, primary_key=True),
    Column("class_index", Integer, primary_key=True),
    Column("split", String(10), nullable=False),
    Column("tp", Integer, nullable=False),
    Column("fp", Integer, nullable=False),
    Column("fn", Integer, nullable=False),
    Column("histograms", LargeBinary, nullable=False),
)

workers = Table(
    "workers",
    metadata,
    Column("host", String(200), primary_key=True),
    Column("pid", Integer, nullable=False),
    Column("stamp", String(80), nullable=False),
    Column("heartbeat_at", Float, nullable=False),
)

machine_samples = Table(
    "machine_samples",
    metadata,
    Column("host", String(200), primary_key=True),
    Column("at", Float, primary_key=True),
    Column("cpu_share", Float, nullable=False),
    Column("memory_used_bytes", BigInteger, nullable=False),
    Column("memory_total_bytes", BigInteger, nullable=False),
    Column("disk_free_bytes", BigInteger, nullable=False),
    Column("disk_total_bytes", BigInteger, nullable=False),
    Column("gpus", JSON, nullable=False),
)

notices = Table(
    "notices",
    metadata,
    Column("job_id", ForeignKey("jobs.id", ondelete="CASCADE"), primary_key=True),
    Column("attempt", Integer, primary_key=True),
    Column("channel", String(20), primary_key=True),
    Column("created_at", Float, nullable=False),
    Column("tries", Integer, nullable=False),
    Column("next_try_at", Float),
    Column("sent_at", Float),
    Column("error", Text),
)
