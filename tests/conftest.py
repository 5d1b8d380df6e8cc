"""Settings for all tests: hypothesis without a deadline (shared machines stall) and with few, fresh examples.

The nightly tries many: `make test-slow` runs every property again in the profile `nightly`.
"""

import os
import tempfile

from hypothesis import settings

from compound.cli import before_torch

settings.register_profile("shared", deadline=None, max_examples=20)
settings.register_profile("nightly", deadline=None, max_examples=200)
settings.load_profile("shared")
before_torch()
os.environ["COMPOUND_CACHE"] = os.path.join(tempfile.gettempdir(), f"compound-tests-{os.getpid()}")
