"""RFC 7662 answers read with suspicion: plainly active, plainly inactive, or nothing known; never an exception."""

import json

import pytest

from extauthz.core.decision import Reason
from extauthz.core.introspection import (
    MAX_ANSWER_BYTES,
    MAX_RETRY_AFTER_SECONDS,
    Active,
    Answer,
    Inactive,
    TokenState,
    Unavailable,
    read_answer,
)

ISSUER = "https://as.example.com"
LIVE = '{"active":true}'


def read(
    body: str | bytes,
    *,
    status: int = 200,
    content_type: str = "application/json",
    retry_after: str = "",
    issuer: str | None = ISSUER,
    answers_others: bool = True,
) -> TokenState:
    """The state that one answer leads to."""
    octets = body.encode("utf-8") if isinstance(body, str) else body
    answer = Answer(status=status, content_type=content_type, body=octets, retry_after=retry_after)
    return read_answer(answer, issuer=issuer, answers_others=answers_others)


def is_garbage(state: TokenState) -> bool:
    """Whether nothing was learnt because of the answer itself."""
    return isinstance(state, Unavailable) and state.reason is Reason.SERVER_ANSWER_INVALID


def live(**members: object) -> str:
    """An active answer with these members."""
    return json.dumps({"active": True, **members})


@pytest.mark.shows("S22")
def test_every_member_that_we_use_is_read() -> None:
    """And the rest is kept as it is, nested or not, for whoever asks for a claim by its path."""
    body = live(
        scope="orders:read b orders:read",
        client_id="c",
        username="u",
        sub="s",
        iss=ISSUER,
        jti="j",
        token_type="Bearer",
        aud=["x", "https://api.example.com"],
        exp=1_700_000_300,
        nbf=1_699_999_000,
        iat=1_700_009_999,
        acr=5,
        realm_access={"roles": ["a", {"b": [None, 1.5e300]}]},
        ACTIVE=False,
        Sub="other",
    )
    assert read(body) == Active(
        scopes=frozenset({"orders:read", "b"}),
        scope="orders:read b",
        client_id="c",
        username="u",
        sub="s",
        iss=ISSUER,
        jti="j",
        aud=("x", "https://api.example.com"),
        exp=1_700_000_300.0,
        nbf=1_699_999_000.0,
        claims={"acr": 5, "realm_access": {"roles": ["a", {"b": [None, 1.5e300]}]}, "ACTIVE": False, "Sub": "other"},
    )


@pytest.mark.parametrize("body", [LIVE, live(scope=None, client_id=None, username=None, sub=None, iss=None, jti=None)])
def test_every_member_but_active_is_optional(body: str) -> None:
    """Absent and null are the same."""
    assert read(body) == Active(scopes=frozenset())


@pytest.mark.shows("S16")
@pytest.mark.parametrize(
    "body",
    [
        '{"active":false}',
        '{"active":false,"scope":"orders:read","sub":"u1","exp":1700000300}',
        '{"active":false,"sub":5,"aud":{},"exp":"x","cnf":{},"token_use":"refresh_token","iss":"https://other"}',
        ' \r\n\t{ "active" : false } \n',
    ],
)
def test_inactive_is_inactive_whatever_else_is_said(body: str) -> None:
    """Nothing of such an answer is forwarded, because nothing is kept."""
    assert read(body) == Inactive(reason=Reason.INACTIVE, cacheable=True)


NOT_AN_ANSWER = {
    "no active": "{}",
    "names are case-sensitive": '{"Active":true}',
    "active is a string": '{"active":"true"}',
    "active is the string false": '{"active":"false"}',
    "active is one": '{"active":1}',
    "active is zero": '{"active":0}',
    "active is one point zero": '{"active":1.0}',
    "active is null": '{"active":null}',
    "active is an object": '{"active":{}}',
    "active is a list": '{"active":[true]}',
    "active stands one level down": '{"token":{"active":true}}',
    "a list": '[{"active":true}]',
    "an empty list": "[]",
    "true": "true",
    "null": "null",
    "a string": '"active"',
    "an OAuth error": '{"error":"invalid_request"}',
    "active twice, true last": '{"active":false,"active":true}',
    "active twice, false last": '{"active":true,"active":false}',
    "active twice, spelled with an escape": r'{"active":false,"\u0061ctive":true}',
    "sub twice": '{"active":true,"sub":"a","sub":"b"}',
    "a name twice, one level down": '{"active":true,"cnf":{"jkt":"a","jkt":"b"}}',
    "a name twice, in a list": '{"active":true,"x":[[{"a":1,"a":1}]]}',
    "a name twice, inactive": '{"active":false,"a":1,"a":1}',
    "NaN": '{"active":true,"exp":NaN}',
    "Infinity": '{"active":true,"exp":Infinity}',
    "minus Infinity": '{"active":true,"nbf":-Infinity}',
    "NaN where nobody looks": '{"active":true,"x":[NaN]}',
    "a float too large": '{"active":true,"exp":1e400}',
    "a float too small": '{"active":true,"x":-1e400}',
    "5000 digits": '{"active":true,"exp":' + "9" * 5000 + "}",
    "5000 digits where nobody looks": '{"active":true,"x":' + "9" * 5000 + "}",
    "4000 digits": '{"active":true,"exp":' + "9" * 4000 + "}",
    "100 000 lists deep": '{"active":true,"x":' + "[" * 100_000 + "]" * 100_000 + "}",
    "30 000 objects deep": '{"active":true,"x":' + '{"a":' * 30_000 + "1" + "}" * 30_000 + "}",
    "100 000 open lists": "[" * 100_000,
    "byte order mark": b"\xef\xbb\xbf" + LIVE.encode(),
    "UTF-16 with mark": LIVE.encode("utf-16"),
    "UTF-16 without mark": LIVE.encode("utf-16-le"),
    "UTF-32": LIVE.encode("utf-32"),
    "not UTF-8": b'{"active":true,"x":"\xff"}',
    "overlong UTF-8": b'{"active":true,"x":"\xc0\xaf"}',
    "a surrogate in UTF-8": b'{"active":true,"x":"\xed\xa0\x80"}',
    "empty": "",
    "spaces": "   ",
    "something after it": '{"active":true} garbage',
    "two objects": '{"active":true}{"active":true}',
    "a trailing comma": '{"active":true,}',
    "a comment": '{"active":true/**/}',
    "single quotes": "{'active':true}",
    "Python": '{"active":True}',
    "a raw line feed in a string": '{"active":true,"x":"a\nb"}',
    "NUL after it": '{"active":true}\x00',
    "cut off": '{"active":true',
    "HTML": "<html>active: true</html>",
    "a form": "active=true",
    "one byte too large": LIVE + " " * (MAX_ANSWER_BYTES + 1 - len(LIVE)),
}


@pytest.mark.shows("O15", "S15", "S17", "E34", "N44")
@pytest.mark.parametrize("body", NOT_AN_ANSWER.values(), ids=NOT_AN_ANSWER)
def test_an_answer_that_is_not_plainly_one_teaches_nothing(body: str | bytes) -> None:
    """503 and no exception: not a pass, and not the token's fault either."""
    assert is_garbage(read(body))


def test_the_largest_answer_is_read() -> None:
    """The limit is inclusive."""
    assert isinstance(read(LIVE + " " * (MAX_ANSWER_BYTES - len(LIVE))), Active)


@pytest.mark.shows("S30")
@pytest.mark.parametrize(
    "content_type",
    [
        "application/json",
        "Application/JSON",
        "application/json;charset=UTF-8",
        "application/json; charset=utf-8",
        'application/json; charset="utf-8"',
        "application/json ; charset=utf8",
        "application/json; profile=x; charset=utf-8",
        "application/json; version=1",
        " application/json ",
    ],
)
def test_json_is_told_by_its_media_type(content_type: str) -> None:
    """Case and parameters do not matter (RFC 9110 §8.3.1)."""
    assert isinstance(read(LIVE, content_type=content_type), Active)


@pytest.mark.shows("S30", "E34")
@pytest.mark.parametrize(
    "content_type",
    [
        *("", " ", "text/html", "text/plain", "text/json", "application/jsonp", "application/x-json", "json", "*/*"),
        *("application/token-introspection+jwt", "application/problem+json", "application/jwt", "application/json/x"),
        *("application/json, text/html", "text/html; application/json", "; application/json", "application/json\nx"),
        *(
            "application/json; charset=utf-16",
            "application/json; charset=iso-8859-1",
            "application/json; charset=us-ascii",
        ),
        *('application/json; charset="UTF-7"', "application/json; charset=", "application/json; CHARSET=latin1"),
    ],
)
def test_anything_else_is_not_json_even_if_it_looks_like_it(content_type: str) -> None:
    """A login page, a signed answer that we did not ask for, another charset (RFC 8259 §8.1)."""
    assert is_garbage(read(LIVE, content_type=content_type))


@pytest.mark.shows("S30")
@pytest.mark.parametrize(
    "content_type",
    [
        pytest.param("application/json; charset*=utf-8''x; charset*0=y", id="RFC 2231, whole and in parts"),
        pytest.param("application/json; charset*" + "9" * 5000 + "*=x", id="RFC 2231, part number of 5000 digits"),
        pytest.param("application/json; charset*=a\x00b'en'x", id="RFC 2231, NUL in the charset"),
        pytest.param("application/json; charset=\xfctf-16", id="charset outside ASCII"),
    ],
)
def test_a_content_type_that_cannot_be_understood_is_garbage_too(content_type: str) -> None:
    """Whatever a library makes of odd parameters, the reader does not raise and does not guess UTF-8."""
    assert is_garbage(read(LIVE, content_type=content_type))


@pytest.mark.shows("O15", "O16", "O17", "S25", "S26")
@pytest.mark.parametrize(
    ("status", "reason"),
    [
        *((status, Reason.SERVER_REFUSED_US) for status in (401, 403)),
        *((status, Reason.SERVER_BUSY) for status in (429,)),
        *((status, Reason.SERVER_ERROR) for status in (500, 501, 502, 503, 504, 599)),
        *((status, Reason.SERVER_ANSWER_INVALID) for status in (301, 302, 303, 307, 308, 404, 405, 410, 413, 415, 422)),
        *((status, Reason.SERVER_ANSWER_INVALID) for status in (100, 201, 202, 203, 204, 206, 304, 0, -1)),
    ],
)
@pytest.mark.parametrize("body", [LIVE, '{"active":false}', '{"error":"unsupported_token_type"}', ""])
def test_a_status_other_than_200_and_400_is_trouble_whatever_the_body(status: int, reason: Reason, body: str) -> None:
    """Not even `active: true` counts there, nor does `active: false` condemn the token."""
    state = read(body, status=status)
    assert isinstance(state, Unavailable)
    assert state.reason is reason


@pytest.mark.shows("S27")
@pytest.mark.parametrize(
    ("error", "answers_others", "expected"),
    [
        ("unsupported_token_type", True, Inactive()),
        ("unsupported_token_type", False, Inactive()),
        ("invalid_request", True, Inactive(cacheable=False)),
        ("invalid_request", False, Reason.SERVER_ANSWER_INVALID),
        ("invalid_client", True, Reason.SERVER_REFUSED_US),
        ("unauthorized_client", True, Reason.SERVER_REFUSED_US),
        ("unsupported_grant_type", True, Reason.SERVER_ANSWER_INVALID),
        ("", True, Reason.SERVER_ANSWER_INVALID),
        (None, True, Reason.SERVER_ANSWER_INVALID),
        (["invalid_request"], True, Reason.SERVER_ANSWER_INVALID),
        ({"unsupported_token_type": 1}, True, Reason.SERVER_ANSWER_INVALID),
    ],
)
def test_a_400_is_about_the_token_only_where_it_says_so(
    error: object, answers_others: bool, expected: TokenState | Reason
) -> None:
    """A client must not be able to make a healthy server look ill, nor a misconfigured one look healthy."""
    state = read(json.dumps({"error": error}), status=400, answers_others=answers_others)
    assert state == expected if isinstance(expected, Inactive) else getattr(state, "reason", None) is expected
    assert isinstance(state, Unavailable) == isinstance(expected, Reason)


@pytest.mark.parametrize(
    ("body", "content_type"),
    [
        ("", "application/json"),
        (LIVE, "application/json"),
        ("<html>", "text/html"),
        ('{"error":"unsupported_token_type"}', "text/html"),
        ('{"error":"x","error":"unsupported_token_type"}', "application/json"),
        ('["unsupported_token_type"]', "application/json"),
    ],
)
def test_a_400_that_cannot_be_read_is_trouble(body: str, content_type: str) -> None:
    """Error bodies are read as strictly as others."""
    assert is_garbage(read(body, status=400, content_type=content_type))


@pytest.mark.shows("O17", "N10")
@pytest.mark.parametrize("status", [429, 500, 503])
@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        *(("", 0), ("0", 0), ("1", 1), ("120", 120), ("007", 7), ("300", 300), ("301", 300), ("9999999", 300)),
        *(("-1", 0), ("1.5", 0), ("1e3", 0), ("+5", 0), ("1_0", 0), (" 5", 0), ("x", 0)),
        *(
            ("\xb2", 0),
            ("\u0665", 0),
            ("Wed, 21 Oct 2015 07:28:00 GMT", 0),
            pytest.param("9" * 5000, 300, id="5000 digits"),
        ),
    ],
)
def test_the_wish_of_a_busy_server_is_kept_within_bounds(status: int, header: str, seconds: int) -> None:
    """Seconds are understood; anything else, and any absurd number, leaves it to our own default."""
    state = read("", status=status, retry_after=header)
    assert isinstance(state, Unavailable)
    assert state.retry_after == seconds <= MAX_RETRY_AFTER_SECONDS
