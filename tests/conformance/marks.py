"""Vectors as parameters that claim what they show."""

from collections.abc import Iterable

import pytest

from cases import Case


def parameters(cases: Iterable[Case], letters: str = "OSEN") -> list[object]:
    """The cases under their names, for `pytest.mark.parametrize`. They claim statements of these letters."""
    claims = {case.name: [name for name in case.shows if name[0] in letters] for case in cases}
    return [pytest.param(case, id=case.name, marks=pytest.mark.shows(*claims[case.name])) for case in cases]
