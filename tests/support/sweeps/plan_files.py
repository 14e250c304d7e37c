"""Plans as files."""

from __future__ import annotations

from pathlib import Path


def written(folder: Path, text: str) -> Path:
    path = folder / "plan.toml"
    path.write_text(text, "utf-8")
    return path
