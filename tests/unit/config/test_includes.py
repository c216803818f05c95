"""Routes of several files are one policy, and each fault is told where it stands."""

from pathlib import Path

import pytest

from extauthz.config.document import Document
from extauthz.config.includes import read_policy_text
from extauthz.config.judge import Judged, judge_policy
from extauthz.config.sources import Sources
from extauthz.keyfiles import UnusableError

MAIN = """\
version: 1
include: [parts/*.yaml]
scope_sets: {readers: [orders:read]}
defaults: {audience: here}
routes:
  - {name: health, path: /healthz, allow: anonymous}
"""
ORDERS = "version: 1\nroutes:\n  - {name: orders, path: /orders, scopes: [{set: readers}]}\n"
ITEMS = "version: 1\nroutes:\n  - {name: items, path: /items, scopes: []}\n  - {name: item, path: /item, scopes: []}\n"


def write(folder: Path, main: str = MAIN, **parts: str) -> Path:
    """The files in a folder; the path of the first."""
    (folder / "parts").mkdir(exist_ok=True)
    for name, text in parts.items():
        (folder / "parts" / f"{name}.yaml").write_text(text)
    path = folder / "policy.yaml"
    path.write_text(main)
    return path


def read(path: Path) -> Document:
    """The file with all that it includes."""
    return read_policy_text(path)


def judged(path: Path) -> Judged:
    """What becomes of it."""
    return judge_policy(read(path), {}, ())


def told(path: Path) -> list[str]:
    """Its faults, each with its place seen from the folder."""
    folder = f"{path.parent}/"
    faults = judged(path).faults
    return [f"{fault.file}:{fault.line}:{fault.column}: {fault.message}".replace(folder, "") for fault in faults]


def test_routes_of_all_files_are_one_policy(tmp_path: Path) -> None:
    """The files in the order of their names, with what the first one says for all."""
    snapshot = judged(write(tmp_path, orders=ORDERS, items=ITEMS)).snapshot
    assert snapshot is not None
    assert [rule.name for rule in snapshot.routes.rules] == ["health", "items", "item", "orders"]
    assert snapshot.routes.rules[3].audience == "here"
    assert snapshot.routes.rules[3].alternatives == (frozenset({"orders:read"}),)


def test_all_routes_may_be_in_other_files(tmp_path: Path) -> None:
    """The first one has none then."""
    snapshot = judged(write(tmp_path, "version: 1\ninclude: [parts/*.yaml]\n", items=ITEMS)).snapshot
    assert snapshot is not None
    assert len(snapshot.routes.rules) == 2


def test_what_was_read_and_where_more_could_come_is_told(tmp_path: Path) -> None:
    """For whoever watches them. A file that two patterns match is read once."""
    main = MAIN.replace("[parts/*.yaml]", "['parts/*.yaml', parts/items.yaml, 'p*/i*.yaml', 'more/*.yaml']")
    sources = Sources()
    read_policy_text(write(tmp_path, main, orders=ORDERS, items=ITEMS), sources)
    parts = tmp_path / "parts"
    files = {tmp_path / "policy.yaml", parts / "items.yaml", parts / "orders.yaml"}
    assert set(sources.seen) == files | {parts, tmp_path, tmp_path / "more"}


def test_hidden_files_are_left_out(tmp_path: Path) -> None:
    """Editors and Kubernetes leave such."""
    (write(tmp_path, items=ITEMS).parent / "parts" / ".orders.yaml").write_text("nonsense")
    assert told(tmp_path / "policy.yaml") == []


FAULTY = {
    "a key that is not known": (
        ORDERS.replace("name:", "nam:"),
        ["parts/orders.yaml:3:6: unknown key"],
    ),
    "a name that the first file has": (
        ORDERS.replace("name: orders", "name: health"),
        ["parts/orders.yaml:3:12: the route policy.yaml:6 has this name already"],
    ),
    "a name that another file has": (
        ORDERS.replace("name: orders", "name: item"),
        ["parts/orders.yaml:3:12: the route parts/items.yaml:4 has this name already"],
    ),
    "a name that the file itself has": (
        f"{ORDERS}  - {{name: orders, path: /more, scopes: []}}\n",
        ["parts/orders.yaml:4:12: the route on line 3 has this name already"],
    ),
    "a path that another file has": (
        ORDERS.replace("path: /orders", "path: /items"),
        ["parts/orders.yaml:3:26: orders and items (parts/items.yaml:3) would both decide every method here"],
    ),
    "a set that is not known": (
        ORDERS.replace("readers", "reader"),
        ["parts/orders.yaml:3:50: scope_sets: has no set of this name; there is readers"],
    ),
    "more than routes": (
        f"{ORDERS}defaults: {{audience: b}}\n",
        ["parts/orders.yaml:4:1: unknown key: known here are version, routes"],
    ),
    "another include": (
        f"{ORDERS}include: [x.yaml]\n",
        ["parts/orders.yaml:4:1: unknown key: known here are version, routes"],
    ),
    "no version": ("routes: []\n", ["parts/orders.yaml:1:1: version is missing: write version: 1"]),
    "no routes": ("version: 1\n", ["parts/orders.yaml:1:1: routes is missing"]),
    "routes that are no list": ("version: 1\nroutes: {}\n", ["parts/orders.yaml:2:9: this must be a list"]),
    "no YAML": ("version: 1\nroutes: [\n", ["parts/orders.yaml:"]),
    "nothing": ("", ["parts/orders.yaml:1:1: the file is empty"]),
    "an empty value": (ORDERS.replace("[{set: readers}]", ""), ["parts/orders.yaml:3:"]),
}


@pytest.mark.parametrize("case", FAULTY)
def test_a_fault_of_an_included_file_is_told_at_its_place(tmp_path: Path, case: str) -> None:
    """With the name of that file, and of the other one where two are concerned."""
    text, wanted = FAULTY[case]
    found = told(write(tmp_path, orders=text, items=ITEMS))
    assert len(found) == len(wanted)
    for message, beginning in zip(sorted(found), wanted, strict=True):
        assert message.startswith(beginning)


def test_the_line_is_shown_that_has_the_fault(tmp_path: Path) -> None:
    """Of the file that has it."""
    (fault,) = judged(write(tmp_path, orders=ORDERS.replace("path: /orders", "path: orders"))).faults
    assert fault.excerpt == ORDERS.splitlines()[2].replace("path: /orders", "path: orders")


INCLUDES = {
    "[parts/nothing-*.yaml]": "policy.yaml:2:11: no file matches this",
    "[nothing/*.yaml]": "policy.yaml:2:11: no file matches this",
    "['*.yaml']": "policy.yaml:2:11: this file would include itself",
    "[parts]": "policy.yaml:2:11: ",
    "parts/*.yaml": "policy.yaml:2:10: this must be a list",
    "[]": "policy.yaml:2:10: name at least one",
    "[1]": "policy.yaml:2:11: this must be text",
}


@pytest.mark.parametrize("include", INCLUDES)
def test_a_pattern_without_files_is_a_fault(tmp_path: Path, include: str) -> None:
    """A route that is missing may open what it was to guard."""
    (found,) = told(write(tmp_path, MAIN.replace("[parts/*.yaml]", include), orders=ORDERS))
    assert found.startswith(INCLUDES[include])


def test_a_file_that_is_not_there_raises(tmp_path: Path) -> None:
    """Whoever names it has the place for the fault."""
    with pytest.raises(UnusableError):
        read_policy_text(tmp_path / "policy.yaml")
