"""What the laws are tried on: hostile text beside harmless text, so that both refusal and acceptance are common."""

import json
from dataclasses import replace

from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

from extauthz.config.patterns import Re2Pattern, parse_pattern
from extauthz.core.decision import OUTCOMES
from extauthz.core.identity import IdentityHeaders
from extauthz.core.introspection import Active, Inactive, TokenState, Unavailable
from extauthz.core.policy import Rule
from extauthz.core.routes import parse_path
from extauthz.testing import active, rule

NOW = 1_700_000_000.0

# ---- text -------------------------------------------------------------------------------------------------------

latin1 = st.text(st.characters(max_codepoint=0xFF), max_size=40)
"""What a header can be once its bytes are read as Latin-1."""

any_text = st.text(max_size=40) | latin1
realms = st.text(st.characters(min_codepoint=0x20, max_codepoint=0x7E), min_size=1, max_size=30)
scope_words = st.text(
    st.characters(min_codepoint=0x21, max_codepoint=0x7E, exclude_characters='"\\'), min_size=1, max_size=12
)
few_words = st.sampled_from(["orders:read", "orders:write", "admin"])

# ---- paths ------------------------------------------------------------------------------------------------------

_HARMLESS = ["a", "b", "orders", "-", "_", "~", ".x", ":", "@", "!", "$", "(", "*", "+", ",", "=", "[", "'"]
_HARMLESS_ESCAPES = [
    *("%61", "%41", "%7e", "%2D", "%5f", "%3A", "%40", "%2b", "%20", "%C3%A9", "%e2%82%ac", "%3f", "%23"),
    "%7c",
]
_HOSTILE = [
    *(".", "..", "%2e", "%2E", "/", "//", "%2f", "%5c", "\\", ";", "%25", "%", "%zz", "%00", "%0a", "\t"),
    *(" ", "#", "%ff", "%3B"),
]
_HOSTILE_TOO = ["%c0%ae", "%c3", "\xe9", "|", "{x}", "**", "http:", "%7f", "%u002f", "\x00", "\x7f", '"']


def _paths(atoms: list[str]) -> SearchStrategy[str]:
    segment = st.lists(st.sampled_from(atoms), min_size=1, max_size=4).map("".join)
    segments = st.lists(segment, max_size=4).map("/".join)
    return st.builds("/{}{}".format, segments, st.sampled_from(["", "", "/"]))


harmless_paths = _paths(_HARMLESS + _HARMLESS_ESCAPES)
_hostile_words = st.sampled_from(_HOSTILE + _HOSTILE_TOO)
_spoiled_paths = st.builds("{}/{}{}".format, harmless_paths, _hostile_words, st.sampled_from(["", "/", "/a", "b"]))
hostile_paths = _spoiled_paths | _paths(_HARMLESS[:4] + _HARMLESS_ESCAPES[:4] + _HOSTILE + _HOSTILE_TOO)
targets = (
    harmless_paths | hostile_paths | any_text | st.builds("{}?{}".format, harmless_paths | hostile_paths, any_text)
)

# ---- credentials ------------------------------------------------------------------------------------------------

_CREDENTIAL_PARTS = [
    *("Bearer", "bearer", "Basic", "DPoP", " ", "  ", "\t", ",", ", ", "\n", "\x00", '"', "\xe9"),
    *("abc", "a.b-c_d~e+f/g", "=", "==", "x" * 9000),
]
_ENDS = ["", "", "=", " ", "\t", ",", ", Bearer b", "\n", "\x00", " b", "\xe9", '"']
authorization_values = (
    st.lists(st.sampled_from(_CREDENTIAL_PARTS), max_size=6).map("".join)
    | st.builds(
        "{}{}{}{}".format, *map(st.sampled_from, (["Bearer", "bearer"], [" ", "  "], ["abc", "a=", "~+/"], _ENDS))
    )
    | latin1.map("Bearer {}".format)
    | latin1
)
authorizations = authorization_values.map(lambda value: (value,)) | st.lists(authorization_values, max_size=2).map(
    tuple
)

# ---- rules ------------------------------------------------------------------------------------------------------

METHODS = ["GET", "HEAD", "POST", "PUT"]
HOSTS = ["", "h.example", "a.h.example", "*.h.example", "*.a.h.example", "*.example"]
"""Host patterns that overlap as much as they can."""

hosts = st.sampled_from(
    ["h.example", "a.h.example", "b.a.h.example", "b.h.example", "example", "xh.example", "other", ""]
)
methods = st.sampled_from([*METHODS, "DELETE"])
small_paths = st.lists(st.sampled_from(["a", "b", "%61", "c", "%3A"]), max_size=3).flatmap(
    lambda segments: st.sampled_from(["/" + "/".join(segments), "".join(f"/{segment}" for segment in segments) + "/"])
)
"""Paths that the patterns below often match, a few of them in another spelling."""


def _pattern(segments: list[str], end: str) -> str:
    named = [f"{{p{at}}}" if segment == "{}" else segment for at, segment in enumerate(segments)]
    return "".join(f"/{segment}" for segment in named) + (end if segments else end or "/")


patterns = st.builds(
    _pattern,
    st.lists(st.sampled_from(["a", "a", "b", ":", "{}", "{}"]), max_size=3),
    st.sampled_from(["", "/", "/**", "/**"]),
)
method_splits = st.sampled_from([((),), (("GET",),), (("GET", "HEAD"), ("POST",)), (("PUT",), ("POST", "GET"))])
"""Lists of methods that do not meet, so that rules for one pattern do not tie."""


constraints = st.sampled_from([("",), ("",), ("[ab]",), ("[ab]", "[bc]"), ("[bc]", "", "c|:"), ("[ab]", "a|:", "")])
"""For the first parameter of a path, with a rule each; they overlap in part."""


@st.composite
def rule_sets(draw: st.DrawFn) -> list[Rule]:
    """Rules of which no two tie, named by their number."""
    places = draw(
        st.dictionaries(
            st.tuples(st.sampled_from(["", "", *HOSTS]), patterns),
            st.tuples(method_splits, constraints),
            min_size=3,
            max_size=20,
        )
    )
    wanted = [
        (host, path, listed, where)
        for (host, path), (split, texts) in places.items()
        for where in dict.fromkeys(_where(path, text) for text in texts)
        for listed in split
    ]
    return [
        rule(name=str(at), host=host, path=path, methods=listed, where=where)
        for at, (host, path, listed, where) in enumerate(wanted)
    ]


def _where(path: str, constraint: str) -> tuple[tuple[str, Re2Pattern], ...]:
    parameters = parse_path(path).parameters
    return ((parameters[0], parse_pattern(constraint)),) if parameters and constraint else ()


scope_sets = st.frozensets(few_words, max_size=3)
claims = st.sampled_from(["sub", "scope", "client_id", "username", "iss", "jti"])
identities = st.dictionaries(st.sampled_from(["x-a", "x-b", "x-c", "x-d"]), claims).map(IdentityHeaders.of)
leeways = st.sampled_from([0.0, 1.0, 60.0, 300.0])
rules = st.builds(
    replace,
    st.just(rule()),
    alternatives=st.just((frozenset(),))
    | st.frozensets(few_words, min_size=2).map(lambda needed: (needed,))
    | st.lists(scope_sets, max_size=3).map(tuple),
    audience=st.sampled_from(["", "api"]),
    leeway=leeways,
    identity=identities,
)

# ---- tokens -----------------------------------------------------------------------------------------------------

claim_values = st.none() | st.sampled_from(["", "u1", "Jane Roe", "a\nb", "\xe9", "x" * 4000]) | any_text
times = st.none() | st.none() | st.integers(-70, 70).map(lambda seconds: NOW + seconds) | st.floats(0, 2**53)


@st.composite
def active_tokens(draw: st.DrawFn) -> Active:
    """Live tokens, most of them good for something."""
    return active(
        " ".join(draw(st.lists(few_words, unique=True))),
        sub=draw(claim_values),
        client_id=draw(claim_values),
        username=draw(claim_values),
        aud=draw(st.sampled_from([(), ("api",), ("x", "api"), ("x",)])),
        exp=draw(times),
        nbf=draw(times),
    )


reasons = st.sampled_from(sorted(OUTCOMES))
token_states: SearchStrategy[TokenState] = (
    active_tokens()
    | st.builds(Inactive, reason=reasons)
    | st.builds(Unavailable, reason=reasons, detail=any_text, retry_after=st.integers(-5, 500))
)

# ---- answers of a server ----------------------------------------------------------------------------------------

_NAMES = [
    *("active", "Active", "scope", "sub", "client_id", "iss", "aud", "exp", "nbf", "cnf", "token_type"),
    *("typ", "x", "error"),
]
_LITERALS = [
    *("true", "false", "null", "1", "0", "-1", "1.5", "1e400", "NaN", "1700000300", "{}", "[]", "[1]"),
    *('["a"]', '{"a":1,"a":2}', "]"),
]
_STRINGS = ["true", "a b", "https://as.example.com", "refresh_token", "DPoP", "invalid_request", "\n", "\ud800", "\x00"]

_ORDINARY = [
    *('"sub":"u1"', '"scope":"a b"', '"exp":1700000300', '"nbf":0.5', '"aud":["a"]', '"iat":1'),
    *('"x":{"y":[1]}', '"typ":"JWT"'),
]
_names = st.sampled_from([*_NAMES, "active"]).map(json.dumps)
_values = st.sampled_from(_LITERALS) | st.sampled_from(_STRINGS).map(json.dumps)
_ordinary = st.sampled_from(_ORDINARY)
_members = st.lists(_ordinary, unique=True) | st.lists(
    _ordinary | st.builds("{}:{}".format, _names, _values), max_size=4
)
_objects = _members.map(lambda members: "{" + ",".join(members) + "}")
_live_objects = _members.map(lambda members: "{" + ",".join(['"active":true', *members]) + "}")
_doubtful_objects = st.builds('{{"active":{},{}}}'.format, _values, _ordinary)
_objects_that_say_it_twice = st.builds(
    '{{"active":{},{},"active":{}}}'.format, st.sampled_from(["true", "false"]), _ordinary, _values
)
answers = _objects | _live_objects | _doubtful_objects | _objects_that_say_it_twice
bodies = st.binary(max_size=60) | (answers | any_text).map(lambda text: text.encode("utf-8", "surrogatepass"))

_TYPE_PARTS = [
    *(";", " ", "charset", "CHARSET", "=", "*", "0", "1", "*0*", "''", "utf-8", "utf-16", '"', "\\", ","),
    *("/", "\n", "\xfc", "\ud800"),
]
content_types = (
    st.sampled_from(["application/json", "application/json; charset=utf-8", "application/json;charset=UTF8"])
    | st.sampled_from(["application/json", "text/html", ""])
    | st.lists(st.sampled_from(_TYPE_PARTS), max_size=10).map(lambda parts: "application/json;" + "".join(parts))
    | any_text
)
statuses = st.sampled_from([*[200] * 9, *[400] * 3, 401, 403, 404, 429, 500, 503]) | st.integers(-1, 700)
