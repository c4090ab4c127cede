"""Programs whose wall clock is wrong, by libfaketime; the monotonic clock stays."""

import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import libfaketime
import pytest

LIBRARY = Path(libfaketime.__file__).parent / "vendor/libfaketime/src/libfaketime.so.1"


@contextmanager
def clock_off(seconds: int) -> Iterator[None]:
    """What is started within sees a wall clock that is so many seconds ahead (negative: behind)."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LD_PRELOAD", str(LIBRARY))
        patch.setenv("FAKETIME", f"{seconds:+d}")
        patch.setenv("DONT_FAKE_MONOTONIC", "1")
        told = subprocess.run(
            [sys.executable, "-c", "import time; print(time.time(), time.monotonic())"],
            capture_output=True,
            text=True,
            check=True,
        )
        wall, monotonic = map(float, told.stdout.split())
        assert abs(wall - time.time() - seconds) < 60  # where the library does not load, nothing would be shown
        assert abs(monotonic - time.monotonic()) < 60
        yield
