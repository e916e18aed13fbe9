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

SCHEMA_REVISION = "0003"
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
    Column("stop_requested", Boolean, nullable=False),
    Column("progress", Float, nullable=False),
    Column("phase", String(40), nullable=False),
    Column("handle", JSON),
    Column("error", JSON),
    Column("result", JSON),
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
    Column("process_started_at", Float, nullable=False),
    Column("heartbeat_at", Float, nullable=False),
)
