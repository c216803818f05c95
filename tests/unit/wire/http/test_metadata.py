"""What the gateway says is read once, in one spelling; whatever imitates it is refused and never read."""

import pytest

from extauthz.core.decision import Reason
from extauthz.wire.http.metadata import Said, collect, question, vocabulary

KNOWN = vocabulary((b"x-some-method", b"x-some-uri"), ("x-auth-sub", "authorization"))
NOTHING = Said({}, (), None)


def lines(*headers: tuple[str, str]) -> list[tuple[bytes, bytes]]:
    return [(name.encode(), value.encode("latin-1")) for name, value in headers]


def test_only_the_names_of_the_dialect_are_read() -> None:
    """A header of another dialect says nothing here."""
    said = collect(
        lines(("x-some-uri", "/a"), ("x-original-uri", "/b"), ("x-forwarded-uri", "/c"), ("uri", "/d")), KNOWN
    )
    assert said == Said({b"x-some-uri": "/a"}, (), None)


def test_every_authorization_line_is_kept_in_order() -> None:
    """Which of several tokens counts is not for the decoder to choose."""
    assert collect(lines(("authorization", "a"), ("authorization", "b")), KNOWN) == Said({}, ("a", "b"), None)


def test_bytes_that_are_no_text_are_kept() -> None:
    """Every octet is one character: nothing is decoded, dropped or replaced."""
    octets = bytes(range(0x20, 0x100))
    assert collect([(b"x-some-uri", octets)], KNOWN).values[b"x-some-uri"].encode("latin-1") == octets


@pytest.mark.parametrize("name", ["x-some-method", "x-some-uri", "x-request-id"])
def test_metadata_that_stands_twice_is_a_flaw(name: str) -> None:
    """One of the two is not the gateway's, also when both say the same."""
    assert collect(lines((name, "a"), (name, "a")), KNOWN).flaw is Reason.BAD_METADATA


@pytest.mark.shows("N19")
@pytest.mark.parametrize(
    "name",
    [
        "x_some_uri",
        "x.some.uri",
        "x-some_uri",
        "x_some.uri",
        "x_request_id",
        "x-request.id",
        "x_auth_sub",
        "x.auth-sub",
    ],
)
def test_another_spelling_of_a_name_is_a_flaw_and_is_not_read(name: str) -> None:
    """Some server reads it as the real one, so somebody sent it for that."""
    said = collect(lines((name, "evil")), KNOWN)
    assert (said.flaw, said.values) == (Reason.BAD_METADATA, {})


@pytest.mark.parametrize(
    "name", ["x-auth-sub", "x-auth-subject", "xsome-uri", "x-someuri", "x__some_uri", "user_agent"]
)
def test_a_name_that_no_server_confuses_is_left_alone(name: str) -> None:
    """An identity header itself is no flaw: any client may send one, and the gateway replaces it."""
    assert collect(lines((name, "a")), KNOWN) == NOTHING


def test_an_identity_header_never_hides_what_the_dialect_reads() -> None:
    """`Authorization` is withheld from the upstream by some policies, and read all the same."""
    known = vocabulary((b"path",), ("authorization", "path"))
    assert collect(lines(("authorization", "a"), ("path", "/p")), known) == Said({b"path": "/p"}, ("a",), None)


@pytest.mark.parametrize(
    ("method", "target", "flaw"),
    [
        ("GET", "/a", None),
        (None, "/a", Reason.MISCONFIGURED_GATEWAY),
        ("GET", None, Reason.MISCONFIGURED_GATEWAY),
        ("", "/a", Reason.BAD_METADATA),
        ("GET", "", Reason.BAD_METADATA),
        ("GET,POST", "/a", Reason.BAD_METADATA),
        ("GET, GET", "/a", Reason.BAD_METADATA),
    ],
)
def test_what_is_missing_is_the_gateways_fault_and_what_is_odd_is_not(
    method: str | None, target: str | None, flaw: Reason | None
) -> None:
    """500 for the operator, 400 for whoever wrote it."""
    assert question("test", NOTHING, method=method, target=target).flaw is flaw


@pytest.mark.shows("S60", "N65")
@pytest.mark.parametrize(
    ("method", "headers", "announced"),
    [
        ("OPTIONS", [("origin", "https://a"), ("access-control-request-method", "POST")], "POST"),
        ("OPTIONS", [("origin", "https://a"), ("access-control-request-method", "POST")] * 2, ""),
        ("OPTIONS", [("origin", "https://a")], ""),
        ("GET", [("origin", "https://a"), ("access-control-request-method", "POST")], ""),
    ],
)
def test_a_preflight_is_no_flaw_and_announces_a_method(
    method: str, headers: list[tuple[str, str]], announced: str
) -> None:
    """A client may send these headers as it likes; twice, they announce nothing."""
    asked = question("test", collect(lines(*headers), KNOWN), method=method, target="/a")
    assert (asked.flaw, asked.preflight) == (None, announced)


def test_a_flaw_survives_good_metadata() -> None:
    """An imitation beside the real header is not forgiven."""
    assert question("test", Said({}, (), Reason.BAD_METADATA), method="GET", target="/a").flaw is Reason.BAD_METADATA
