"""Packages of somebody else, as they stand once they are installed."""

from pathlib import Path

import pytest


def install(patch: pytest.MonkeyPatch, folder: Path, name: str, module: str, entry_points: str) -> None:
    """Puts a package of one module on the path of this process and of those that it starts."""
    (folder / f"{name}.py").write_text(module, "utf-8")
    about = folder / f"{name}-1.0.dist-info"
    about.mkdir()
    (about / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n", "utf-8")
    (about / "entry_points.txt").write_text(entry_points, "utf-8")
    patch.syspath_prepend(folder)
    patch.setenv("PYTHONPATH", str(folder), prepend=":")
