"""Settings for all tests: hypothesis without a deadline (shared machines stall) and with few, fresh examples.

The nightly tries many: `make test-slow` runs every property again in the profile `nightly`.
"""

import os
import tempfile
from pathlib import Path

import pytest
from hypothesis import settings

from compound.cli import before_torch

settings.register_profile("shared", deadline=None, max_examples=8)
settings.register_profile("nightly", deadline=None, max_examples=200)
settings.load_profile("shared")
before_torch()
os.environ["COMPOUND_CACHE"] = os.path.join(tempfile.gettempdir(), f"compound-tests-{os.getpid()}")


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Files of oracles import other libraries, which take longer than to collect all other tests."""
    left_out = "not oracle" in config.option.markexpr and collection_path.name.startswith("test_oracles")
    return True if left_out else None
