"""Cases of the table as parameters that claim what they show."""

from collections.abc import Iterable
from pathlib import Path

import pytest
import yaml

from cases import Case

CLAIMED: dict[str, list[str]] = yaml.safe_load(Path(__file__).with_name("cases.yaml").read_text())
"""By the name of a case, what it shows beside its own `shows`."""


def parameters(cases: Iterable[Case], letters: str = "OSEN") -> list[object]:
    """The cases under their names, for `pytest.mark.parametrize`. They claim statements of these letters."""
    claims = {case.name: [name for name in _shown(case) if name[0] in letters] for case in cases}
    return [pytest.param(case, id=case.name, marks=pytest.mark.shows(*claims[case.name])) for case in cases]


def _shown(case: Case) -> tuple[str, ...]:
    return (*case.shows, *CLAIMED.get(case.name, ()))
