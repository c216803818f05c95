"""The page of differences, made from the vectors: `python -m support.differences` writes it."""

from collections.abc import Iterable
from pathlib import Path

from cases import CASES, Case, Difference
from support.vectorfile import PLACES

PAGE = Path(__file__).parents[2] / "docs" / "gateways" / "differences.md"

_HEAD = """\
# Where a request ends otherwise

extauthz answers the same question in the same way through every door. What a gateway settles or refuses before it asks, and what
gets lost on the way, is here: all of it that the [vectors](../../tests/vectors/README.md) know of. `make differences` writes this
page from them, and the tests play each against the real gateway.

Three differences are those of a whole gateway:

- **HEAD**: the answer has no body, so the reason is not told.
- **Envoy with `http_service`**: any 5xx of ours is an error. The client gets Envoy's own 503 with `Retry-After: 1`, and no reason.
- **ingress-nginx and NGINX Gateway Fabric** do not restore the true status: a 400 or 401 with a challenge is 401, any other
  4xx is 403 without one, and a 5xx is 500. No reason is told.
"""
_COLUMNS = "| because | ends with | requests |\n|---|---|---|\n"


def page() -> str:
    """The page as it should be."""
    sections = [_section(place) for place in PLACES if any(place in case.differs for case in CASES)]
    return "\n".join([_HEAD, *sections])


def _section(place: str) -> str:
    causes: dict[str, list[tuple[Case, Difference]]] = {}
    for case in CASES:
        if place in case.differs:
            causes.setdefault(case.differs[place].because, []).append((case, case.differs[place]))
    rows = [f"| {because} | {_ends(found)} | {_requests(found)} |\n" for because, found in causes.items()]
    title = PLACES[place][0].upper() + PLACES[place][1:]
    return f"## {title}\n\n{_COLUMNS}{''.join(rows)}"


def _ends(found: Iterable[tuple[Case, Difference]]) -> str:
    return ", ".join(dict.fromkeys(f"{seen.status or 'no answer'} {seen.reason}".strip() for _, seen in found))


def _requests(found: Iterable[tuple[Case, Difference]]) -> str:
    return "; ".join(_shown(case.name) for case, _ in found)


def _shown(name: str) -> str:
    """The name of a vector as Markdown; that of a path is the path."""
    path = name.removeprefix("path ").replace("|", "\\|")
    if path == name:
        return path
    return f"`` {path} ``" if "`" in path else f"`{path}`"


if __name__ == "__main__":
    PAGE.write_text(page())
