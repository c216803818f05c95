"""The dialect of NGINX `auth_request`: what it tells us, and answers that it can carry to the client."""

import re

import pytest
from hypothesis import given, strategies as st

from extauthz.core.challenge import challenge
from extauthz.core.decision import OUTCOMES, Allow, Deny, Reason, deny
from extauthz.core.request import AuthRequest
from extauthz.wire.http.nginx import decode, encode

Headers = list[tuple[bytes, bytes]]

WHOLE: Headers = [
    (b"x-original-method", b"GET"),
    (b"x-original-uri", b"/orders/1?x=%2f"),
    (b"x-original-host", b"api.example.com"),
    (b"x-original-proto", b"https"),
    (b"x-request-id", b"abc"),
    (b"authorization", b"Bearer t"),
]
METADATA = [name for name, _ in WHOLE[:5]]

# By reason: the status on the wire, the status for the client, and where the challenge stands ("w", "x" or "-").
WIRE = {
    Reason.BAD_METHOD: (403, 400, "-"),
    Reason.BAD_HOST: (403, 400, "-"),
    Reason.BAD_PATH: (403, 400, "-"),
    Reason.BAD_METADATA: (403, 400, "-"),
    Reason.NO_ROUTE: (403, 403, "-"),
    Reason.NO_CREDENTIALS: (401, 401, "w"),
    Reason.UNSUPPORTED_SCHEME: (401, 401, "w"),
    Reason.MALFORMED_CREDENTIALS: (401, 400, "w"),
    Reason.SEVERAL_CREDENTIALS: (401, 400, "w"),
    Reason.INACTIVE: (401, 401, "w"),
    Reason.EXPIRED: (401, 401, "w"),
    Reason.NOT_YET_VALID: (401, 401, "w"),
    Reason.WRONG_ISSUER: (401, 401, "w"),
    Reason.WRONG_AUDIENCE: (401, 401, "w"),
    Reason.NOT_AN_ACCESS_TOKEN: (401, 401, "w"),
    Reason.SENDER_CONSTRAINED: (401, 401, "w"),
    Reason.INSUFFICIENT_SCOPE: (403, 403, "x"),
    Reason.SERVER_UNREACHABLE: (500, 503, "-"),
    Reason.SERVER_TIMEOUT: (500, 503, "-"),
    Reason.SERVER_ERROR: (500, 503, "-"),
    Reason.SERVER_BUSY: (500, 503, "-"),
    Reason.SERVER_ANSWER_INVALID: (500, 503, "-"),
    Reason.SERVER_REFUSED_US: (500, 503, "-"),
    Reason.IDENTITY_NOT_FORWARDABLE: (500, 503, "-"),
    Reason.UNTRUSTED_PEER: (403, 403, "-"),
    Reason.MISCONFIGURED_GATEWAY: (500, 500, "-"),
    Reason.ABANDONED: (500, 503, "-"),
    Reason.INTERNAL: (500, 500, "-"),
}


def without(*names: bytes) -> Headers:
    return [(name, value) for name, value in WHOLE if name not in names]


def values(headers: tuple[tuple[bytes, bytes], ...], name: bytes) -> list[bytes]:
    return [value for found, value in headers if found == name]


class TestDecode:
    """Each header of the recipe once; no other says anything."""

    def test_a_whole_question_is_read(self) -> None:
        """Nothing is decoded: the target is as the client sent it."""
        assert decode(WHOLE) == AuthRequest(
            door="nginx",
            method="GET",
            target="/orders/1?x=%2f",
            host="api.example.com",
            authorization=("Bearer t",),
            request_id="abc",
        )

    @pytest.mark.parametrize("name", METADATA)
    @pytest.mark.parametrize("value", [None, b"", b"other"], ids=["the same", "empty", "other"])
    def test_metadata_that_stands_twice_is_bad(self, name: bytes, value: bytes | None) -> None:
        """A client got its own copy through; which one is true cannot be known."""
        again = dict(WHOLE)[name] if value is None else value
        assert decode([*WHOLE, (name, again)]).flaw is Reason.BAD_METADATA
        assert decode([(name, again), *WHOLE]).flaw is Reason.BAD_METADATA

    @pytest.mark.parametrize(
        ("headers", "flaw"),
        [
            (without(b"x-original-method"), Reason.MISCONFIGURED_GATEWAY),
            (without(b"x-original-uri"), Reason.MISCONFIGURED_GATEWAY),
            (without(b"x-original-method", b"x-original-uri"), Reason.MISCONFIGURED_GATEWAY),
            ([], Reason.MISCONFIGURED_GATEWAY),
            (without(b"x-original-host", b"x-original-proto", b"x-request-id"), None),
        ],
        ids=["method", "uri", "both", "all", "what is optional"],
    )
    def test_metadata_that_is_missing_is_the_operators_error(self, headers: Headers, flaw: Reason | None) -> None:
        """It must not look like the client's."""
        assert decode(headers).flaw is flaw

    @pytest.mark.parametrize(
        "name",
        [
            b"x-forwarded-uri",
            b"x-forwarded-method",
            b"x-forwarded-host",
            b"x-forwarded-proto",
            b"x-forwarded-prefix",
            b"x-rewrite-url",
            b"x-original-url",
            b"x-http-method-override",
            b"x_original_uri",
            b"x.original.uri",
            b"x-original_method",
            b"x_request_id",
            b"host",
            b"authorization2",
            b"if-none-match",
            b"range",
        ],
    )
    def test_no_other_header_says_anything(self, name: bytes) -> None:
        """Those of other dialects, and spellings that other programs fold together."""
        assert decode([(name, b"/admin"), *WHOLE, (name, b"/admin")]) == decode(WHOLE)
        bare = without(b"x-original-uri")
        assert decode([*bare, (name, b"/admin")]) == decode(bare)

    @pytest.mark.parametrize("count", [0, 1, 2, 3])
    def test_every_line_of_credentials_is_kept(self, count: int) -> None:
        """How many are too many is not the door's business."""
        lines = [(b"authorization", b"Bearer %d" % number) for number in range(count)]
        expected = tuple(f"Bearer {number}" for number in range(count))
        assert decode([*without(b"authorization"), *lines]).authorization == expected

    @given(value=st.binary())
    def test_bytes_are_read_as_they_are(self, value: bytes) -> None:
        """One character for each byte, and never an exception."""
        found = decode(
            [*without(b"x-original-uri", b"authorization"), (b"x-original-uri", value), (b"authorization", value)]
        )
        assert found.target.encode("latin-1") == value
        assert [line.encode("latin-1") for line in found.authorization] == [value]


def test_every_reason_is_in_the_table() -> None:
    """A new one needs a line above."""
    assert WIRE.keys() == OUTCOMES.keys()


class TestDeny:
    """NGINX carries 401 and 403 over and makes 500 of all else, so the truth stands in headers."""

    @pytest.mark.parametrize(("reason", "row"), WIRE.items())
    def test_it_says_what_the_client_shall_see(self, reason: Reason, row: tuple[int, int, str]) -> None:
        """Wire status, true status, and one challenge in the place where NGINX finds it."""
        wire, status, place = row
        text = challenge(reason, "api", ("orders:read",))
        expected = {
            b"content-length": b"0",
            b"cache-control": b"no-store",
            b"x-authz-status": str(status).encode(),
            b"x-authz-reason": reason.value.encode(),
        }
        if place != "-":
            expected[b"www-authenticate" if place == "w" else b"x-authz-challenge"] = text.encode()
        if status == 503:
            expected[b"retry-after"] = b"1"
        got_status, got_headers = encode(deny(reason, challenge=text))
        assert (got_status, dict(got_headers)) == (wire, expected)
        assert len(got_headers) == len(expected), "each header once"

    @pytest.mark.parametrize("reason", OUTCOMES)
    @pytest.mark.parametrize("challenged", [True, False])
    def test_a_401_has_one_challenge_and_nothing_else_has_one(self, reason: Reason, challenged: bool) -> None:
        """NGINX copies it from a 401, which must have one (RFC 9110 §15.5.2), and drops it elsewhere."""
        status, headers = encode(deny(reason, challenge='Bearer realm="api"' if challenged else ""))
        assert status in (401, 403, 500)
        assert len(values(headers, b"www-authenticate")) == (status == 401)
        assert not values(headers, b"www-authenticate") or not values(headers, b"x-authz-challenge")

    def test_the_servers_wish_is_passed_on(self) -> None:
        """Seconds, as it named them."""
        assert values(encode(deny(Reason.SERVER_BUSY, retry_after=30))[1], b"retry-after") == [b"30"]

    @pytest.mark.parametrize("reason", [Reason.ALLOWED, Reason.PUBLIC])
    def test_even_a_nonsensical_one_denies(self, reason: Reason) -> None:
        """Zero, empty and unforeseen all deny."""
        assert encode(Deny(reason=reason))[0] == 500


def allow(**changed: object) -> Allow:
    fields: dict[str, object] = {
        "reason": Reason.ALLOWED,
        "rule": "orders",
        "identity": (("x-auth-sub", "u1"), ("x-auth-scope", "a b")),
        "absent": (),
    }
    return Allow(**(fields | changed))  # type: ignore[arg-type]


class TestAllow:
    """200, and every identity header exactly once."""

    @pytest.mark.parametrize(
        ("identity", "absent", "expected"),
        [
            (("u1", "a b"), (), {b"x-auth-sub": b"u1", b"x-auth-scope": b"a b"}),
            (("u1", None), ("x-auth-scope",), {b"x-auth-sub": b"u1", b"x-auth-scope": b""}),
            ((None, None), ("x-auth-sub", "x-auth-scope"), {b"x-auth-sub": b"", b"x-auth-scope": b""}),
        ],
    )
    def test_it_names_all_identity_headers(
        self, identity: tuple[str | None, str | None], absent: tuple[str, ...], expected: dict[bytes, bytes]
    ) -> None:
        """An empty one makes NGINX remove the client's copy; a missing one would leave it."""
        names = ("x-auth-sub", "x-auth-scope")
        present = tuple((name, value) for name, value in zip(names, identity, strict=True) if value is not None)
        status, headers = encode(allow(identity=present, absent=absent))
        assert status == 200
        for name, value in expected.items():
            assert values(headers, name) == [value]

    def test_it_has_these_headers_and_no_others(self) -> None:
        """No body, no challenge, no trace of the program."""
        assert dict(encode(allow())[1]) == {
            b"content-length": b"0",
            b"cache-control": b"no-store",
            b"x-authz-reason": b"allowed",
            b"x-auth-sub": b"u1",
            b"x-auth-scope": b"a b",
        }

    @pytest.mark.parametrize(
        ("seconds", "cache_control", "vary"), [(0, b"no-store", []), (1, b"max-age=1", [b"Authorization"])]
    )
    def test_it_may_be_kept_only_where_the_rule_says_so(
        self, seconds: int, cache_control: bytes, vary: list[bytes]
    ) -> None:
        """And then for this token alone."""
        headers = encode(allow(cache_seconds=seconds))[1]
        assert values(headers, b"cache-control") == [cache_control]
        assert values(headers, b"vary") == vary


def test_every_answer_is_small_lower_case_and_without_a_body() -> None:
    """NGINX keeps the connection only if it need not read anything."""
    decisions = [allow(), *(deny(reason, challenge=challenge(reason, "api", ("a",))) for reason in OUTCOMES)]
    for status, headers in map(encode, decisions):
        assert status in (200, 401, 403, 500)
        assert values(headers, b"content-length") == [b"0"]
        assert all(re.fullmatch(rb"[a-z0-9-]+", name) for name, _ in headers)
        assert sum(len(name) + len(value) + 4 for name, value in headers) < 3500
