"""The first tables: tasks and their files."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "1"
down_revision = None

WHOLE = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
NUMBER: sa.types.TypeEngine[float] = sa.Double().with_variant(sa.REAL(), "sqlite")
FLAG = sa.Boolean().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    """Make the tables and what finds their rows."""
    op.create_table(
        "tasks",
        sa.Column("id", WHOLE, primary_key=True),
        sa.Column("uid", sa.Text, nullable=False, unique=True),
        sa.Column("batch", sa.Text, nullable=False),
        sa.Column("origin", sa.Text, nullable=False),
        sa.Column("service", sa.Text, nullable=False),
        sa.Column("owner", sa.Text),
        sa.Column("user", sa.Text),
        sa.Column("model", sa.Text, nullable=False),
        sa.Column("prompt", sa.Text),
        sa.Column("prompt_parameter", sa.Text, nullable=False),
        sa.Column("params", sa.Text, nullable=False),
        sa.Column("status", sa.Text, nullable=False),
        sa.Column("task_id", sa.Text),
        sa.Column("model_id", sa.Text),
        sa.Column("created_at", WHOLE, nullable=False),
        sa.Column("submitted_at", WHOLE),
        sa.Column("completed_at", WHOLE),
        sa.Column("expires_at", WHOLE),
        sa.Column("duration_ms", WHOLE),
        sa.Column("is_final", FLAG, nullable=False),
        sa.Column("measured", FLAG, nullable=False),
        sa.Column("attempts", WHOLE, nullable=False),
        sa.Column("price", NUMBER),
        sa.Column("charged", NUMBER),
        sa.Column("request_key", sa.Text),
        sa.Column("reused_from", sa.Text),
        sa.Column("parents", sa.Text),
        sa.Column("request_id", sa.Text),
        sa.Column("error_code", WHOLE),
        sa.Column("error_message", sa.Text),
        sa.Column("rating", WHOLE),
        sa.Column("note", sa.Text),
        sa.Column("deleted", FLAG, nullable=False),
        sa.CheckConstraint("rating BETWEEN 1 AND 5", name="rating_is_1_to_5"),
        sqlite_strict=True,
    )
    op.create_table(
        "limits",
        sa.Column("origin", sa.Text, primary_key=True),
        sa.Column("user", sa.Text, primary_key=True),
        sa.Column("places", WHOLE, nullable=False),
        sqlite_strict=True,
    )
    op.create_table(
        "budgets",
        sa.Column("service", sa.Text, primary_key=True),
        sa.Column("period", sa.Text, primary_key=True),
        sa.Column("usd", NUMBER, nullable=False),
        sqlite_strict=True,
    )
    op.create_table(
        "uploads",
        sa.Column("origin", sa.Text, primary_key=True),
        sa.Column("url", sa.Text, primary_key=True),
        sa.Column("sha256", sa.Text, nullable=False),
        sa.Column("file_id", sa.Text, nullable=False),
        sa.Column("created_at", WHOLE, nullable=False),
        sa.Column("expires_at", WHOLE, nullable=False),
        sa.Column("preview", sa.Text),
        sqlite_strict=True,
    )
    op.create_table(
        "files",
        sa.Column("uid", sa.Text, sa.ForeignKey("tasks.uid"), primary_key=True),
        sa.Column("position", WHOLE, primary_key=True, autoincrement=False),
        sa.Column("shown", FLAG, nullable=False),
        sa.Column("url", sa.Text, nullable=False),
        sa.Column("type", sa.Text),
        sa.Column("width", WHOLE),
        sa.Column("height", WHOLE),
        sa.Column("format", sa.Text),
        sa.Column("role", sa.Text),
        sa.Column("path", sa.Text),
        sa.Column("size", WHOLE),
        sa.Column("problem", sa.Text),
        sa.Column("lost", FLAG, nullable=False),
        sqlite_strict=True,
    )
    for name, columns in {
        "tasks_created": ["created_at"],
        "tasks_model": ["model", "completed_at"],
        "tasks_task_id": ["task_id"],
        "tasks_batch": ["batch"],
        "tasks_request_key": ["request_key"],
        "tasks_service": ["service", "created_at"],
    }.items():
        op.create_index(name, "tasks", columns)
    for name, sqlite, postgresql in (
        ("tasks_open", "is_final = 0", "NOT is_final"),
        ("tasks_unknown", "status = 'unknown'", "status = 'unknown'"),
    ):
        op.create_index(
            name,
            "tasks",
            ["origin"],
            sqlite_where=sa.text(sqlite),
            postgresql_where=sa.text(postgresql),
        )
