"""A document knows where everything stood."""

from extauthz.config.document import Place
from extauthz.config.yaml_source import read_yaml

TEXT = b"""\
routes:
  - name: a
    "methods": [GET, POST]
"""


def test_a_path_leads_to_the_value() -> None:
    """Keys and indices are followed to plain data."""
    document = read_yaml(TEXT, "f")
    assert document.at(("routes", 0, "methods", 1)) == "POST"
    assert document.at(("routes", 1)) is None
    assert document.has(("routes", 0, "name"))
    assert not document.has(("routes", 0, "host"))


def test_value_and_key_have_each_their_place() -> None:
    """A fault points to what it is about: the key or the value."""
    document = read_yaml(TEXT, "f")
    assert document.value_place(("routes", 0, "methods", 1)) == Place(3, 22, 26)
    on_key = document.fault(("routes", 0, "methods"), "m", on_key=True)
    on_value = document.fault(("routes", 0, "methods"), "m")
    assert [(fault.line, fault.column) for fault in (on_key, on_value)] == [(3, 5), (3, 16)]


def test_what_is_missing_is_missing_in_its_section() -> None:
    """A path that ends nowhere leads to the last section on its way."""
    fault = read_yaml(TEXT, "f").fault(("routes", 0, "host"), "m")
    assert (fault.line, fault.column) == (2, 5)


def test_a_private_document_shows_only_the_entry_at_fault() -> None:
    """What else stands on the line may be a secret."""
    text = b"client: {secret: canary, auth: basic, other: canary}"
    document = read_yaml(text, "f", private=True)
    assert document.fault(("client", "auth"), "m", value="basic").excerpt == "auth: basic"
    assert document.fault(("client", "auth"), "m").excerpt == "auth:"
    assert document.fault(("client", "secret"), "m", on_key=True).excerpt == "secret:"
    assert document.fault_at(Place(1, 9, 9), "m").excerpt == ""
    assert "canary" not in repr(document)


def test_any_other_document_shows_the_line() -> None:
    """Where no secrets can be, context helps."""
    fault = read_yaml(b"a: {b: 1, c: 2}", "f").fault(("a", "c"), "m")
    assert fault.excerpt == "a: {b: 1, c: 2}"
