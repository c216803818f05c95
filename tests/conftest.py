"""How many examples hypothesis tries: `ci` by default, `long` with HYPOTHESIS_PROFILE=long, as `make fuzz` does."""

import os

from hypothesis import settings

settings.register_profile("ci", deadline=None, max_examples=250, print_blob=True)
settings.register_profile("long", deadline=None, max_examples=10_000, print_blob=True)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "ci"))
