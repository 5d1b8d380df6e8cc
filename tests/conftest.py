"""Settings for all tests: hypothesis without a deadline (shared machines stall) and with few, fresh examples."""

import gc

from hypothesis import settings

settings.register_profile("shared", deadline=None, max_examples=60)
settings.load_profile("shared")
gc.set_threshold(50_000, 10, 10)  # as the command's: see `compound.cli.before_torch`
