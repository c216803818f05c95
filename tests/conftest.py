"""How many examples hypothesis tries: `ci` by default, `long` with HYPOTHESIS_PROFILE=long (and a larger --timeout).

Pytest also finds the hook here that hears what each test shows.
"""

import os

from hypothesis import settings

from conformance.collect import pytest_itemcollected

__all__ = ["pytest_itemcollected"]

settings.register_profile("ci", deadline=None, max_examples=250, print_blob=True)
settings.register_profile("long", deadline=None, max_examples=10_000, print_blob=True)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "ci"))
