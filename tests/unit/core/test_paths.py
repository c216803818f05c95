"""Method, host and path have one meaning for every reader, or the request is refused before any rule is looked at."""

import pytest

from extauthz.core.paths import MAX_HOST_LENGTH, MAX_PATH_LENGTH, canonical_host, canonical_path, known_method

CANONICAL = {
    "root": ("/", "/"),
    "one segment": ("/admin", "/admin"),
    "case is kept": ("/Admin", "/Admin"),
    "a trailing slash is kept": ("/orders/", "/orders/"),
    "unreserved octets are decoded": ("/%61dmin", "/admin"),
    "unreserved punctuation is decoded": ("/a%2Db%2Ec%5Fd%7Ee", "/a-b.c_d~e"),
    "other plain octets are decoded": ("/a%3Ab%40c%2Bd%21", "/a:b@c+d!"),
    "and are the same unescaped": ("/a:b@c+d!", "/a:b@c+d!"),
    "brackets": ("/a%5B0%5D", "/a[0]"),
    "an escaped star is a star": ("/%2A%2a", "/**"),
    "octets of UTF-8 get upper-case digits": ("/%e2%82%ac", "/%E2%82%AC"),
    "and the same in upper case": ("/%E2%82%AC", "/%E2%82%AC"),
    "accented letters": ("/caf%c3%a9", "/caf%C3%A9"),
    "an escaped space stays escaped": ("/a%20b", "/a%20b"),
    "an escaped question mark is no query": ("/a%3fx=1", "/a%3Fx=1"),
    "an escaped hash is no fragment": ("/a%23f", "/a%23f"),
    "a dot at the end of a word": ("/admin%2e", "/admin."),
    "a hidden file": ("/.well-known/x", "/.well-known/x"),
    "three dots are a name": ("/.../%2e%2e%2e", "/.../..."),
    "dots inside a name": ("/a..b/..c/d..", "/a..b/..c/d.."),
    "the query plays no part": ("/admin?x=/../public", "/admin"),
    "not even with a fragment": ("/admin?x#y", "/admin"),
    "nor with what a path may not have": ("/admin?x=%zz&y=\x00\\;//", "/admin"),
    "a second question mark belongs to the query": ("/admin??/../x", "/admin"),
    "an empty query": ("/admin?", "/admin"),
    "the longest path": ("/" + "a" * (MAX_PATH_LENGTH - 1), "/" + "a" * (MAX_PATH_LENGTH - 1)),
    "the longest path and a query": ("/" + "a" * (MAX_PATH_LENGTH - 1) + "?x", "/" + "a" * (MAX_PATH_LENGTH - 1)),
}

PAST_HOLES = {
    "CVE-2026-33494: a rule for /public opened /admin": "/public/../admin",
    "CVE-2026-42274: the same with escaped dots and slashes": "/public/%2e%2e%2fadmin",
    "CVE-2026-26205: a URL parser took the first segment for a host": "//public/admin",
    "CVE-2021-29492: servers took an escaped slash for a slash": "/public/..%2fadmin",
    "CVE-2021-29492: and an escaped backslash": "/public/..%5cadmin",
    "CVE-2026-73551: servlet containers cut the parameter and went up": "/public/..;/admin",
    "CVE-2026-73511: servlet containers cut the parameter": "/admin;/public",
    "CVE-2021-32779: a fragment hid the path from the policy": "/admin#/public",
    "GHSA-pxq7-h93f-9jrg: a fragment was matched as path": "/admin#/healthz",
    "CVE-2021-39155: empty segments": "/public//../admin",
    "CVE-2019-9900: NUL": "/admin%00/public",
    "CVE-2019-9901: dots not removed before the match": "/public/./../admin",
    "CVE-2026-73547: CONNECT has no path": "",
}

# what NGINX and Envoy hand over as it came
REFUSED = {
    "dot segments": "/public/../admin /public/.. /.. /../x /a/./b /./admin /. /a/. /public/./../admin",
    "dot segments, escaped": "/public/%2e%2e/admin /public/%2E./admin /public/.%2e/admin /public/.%2E /%2e /a/%2E/b",
    "escaped slashes": "/public/..%2fadmin /public/%2e%2e%2Fadmin /%2fadmin /%2f%2fadmin /a%2Fb /admin%2f /%2F",
    "backslashes": r"/public\..\admin /public/..\admin \admin /\admin /a\b",
    "escaped backslashes": "/public/..%5cadmin /public/..%5Cadmin /%5cadmin /a%5Cb",
    "double encoding": "/public/%252e%252e/admin /a%252fb /a%2500 /a%25 /%2561dmin",
    "empty segments": "//admin /public//../admin //admin/x //a///b /a//b /a// // ///",
    "path parameters": "/admin;x=1 /public/..;/admin /public/;/../admin /a;x=1/b /; /..; /.;/a /a; /admin%3bx=1 /public/..%3B/admin",
    "controls, escaped": "/admin%00.png /admin%0a /a%00b /a%0d%0aX-Evil:%201 /admin%09 /a%1f /a%7f /%7F",
    "broken escapes": "/a% /%zz /a%2 /%u002e /%u002f /a%%61 /%2 /%-1 /%+1 /%1g",
    "not UTF-8": "/%c0%ae%c0%ae/admin /public/%ff /%c3 /%c3/%a9 /%e2%82 /%80 /%ed%a0%80 /%f8%88%80%80%80 /%c0%af",
    "raw characters that URLs do not have": '/a|b /a"b /a<b /a>b /a^b /a`b /a{b /a}b /public/|"<>^`{}',
    "fragments": "/admin#x /admin#frag /public/#/../../admin /# /a#?x",
    "no path": "* foo admin ?x=1 ?/admin . .. %2Fadmin",
    "another form of target": "http://evil/admin https://h/ //h:80/ h:443 a@b/c",
}

REFUSED_RAW = {
    "empty": "",
    "space": "/a b",
    "space before": " /a",
    "space after": "/a ",
    "tab": "/a\tb",
    "line feed after": "/a\n",
    "carriage return": "/a\r",
    "NUL": "/a\x00b",
    "other control": "/a\x01",
    "DEL": "/a\x7f",
    "byte of UTF-8": "/caf\xc3\xa9",
    "byte outside UTF-8": "/\xff",
    "no-break space": "/a\xa0",
    "fullwidth solidus": "/a\uff0fb",
    "fullwidth digits in an escape": "/%\uff16\uff11",
    "lone surrogate": "/a\ud800",
    "one byte too long": "/" + "a" * MAX_PATH_LENGTH,
    "too long only before decoding": "/" + "%61" * (MAX_PATH_LENGTH // 3 + 1),
    "far too long": "/a" * 1_000_000,
}


@pytest.mark.shows("S56", "E46", "E49", "N34", "N36", "N38")
@pytest.mark.parametrize(("target", "path"), CANONICAL.values(), ids=CANONICAL)
def test_a_clear_path_has_one_spelling(target: str, path: str) -> None:
    """Octets that may stand unescaped do (RFC 3986 §6.2.2), the others are `%XX` in upper case."""
    assert canonical_path(target) == path


@pytest.mark.shows("S55", "E48", "E51", "N30", "N32")
@pytest.mark.parametrize("target", PAST_HOLES.values(), ids=PAST_HOLES)
def test_a_path_that_once_fooled_others_is_refused(target: str) -> None:
    """Every known way past another authorizer, by name."""
    assert canonical_path(target) is None


@pytest.mark.shows("O13", "S55", "E48", "E51", "N30", "N31", "N32", "N33", "N35")
@pytest.mark.parametrize("target", [pytest.param(one, id=one) for row in REFUSED.values() for one in row.split(" ")])
def test_a_path_that_readers_understand_differently_is_refused(target: str) -> None:
    """Not repaired: the upstream gets the gateway's path, and repairing would only add one more opinion."""
    assert canonical_path(target) is None
    assert canonical_path(target.split("?", maxsplit=1)[0] + "?x=1") is None


@pytest.mark.shows("S55", "E48", "N39")
@pytest.mark.parametrize("target", REFUSED_RAW.values(), ids=REFUSED_RAW)
def test_a_path_with_bytes_that_no_url_has_is_refused(target: str) -> None:
    """So is one that is empty or too long."""
    assert canonical_path(target) is None


@pytest.mark.shows("S55", "E48", "N31", "N35", "N39")
@pytest.mark.parametrize("octet", [*range(0x21), *b'"#;<>\\^`{|}', *range(0x7F, 0x100)])
def test_no_raw_octet_outside_the_list_is_accepted(octet: int) -> None:
    """The set of what may stand raw is closed; `?` ends the path and `%` begins an escape."""
    assert canonical_path(f"/a{chr(octet)}b") is None


@pytest.mark.shows("S55", "E48", "N31", "N39")
@pytest.mark.parametrize("octet", [*range(0x20), 0x7F, *b"/\\%", *range(0x80, 0x100)])
@pytest.mark.parametrize("digits", ["{:02x}", "{:02X}"])
def test_no_escape_may_hide_structure_or_a_control(octet: int, digits: str) -> None:
    """Nor a single octet of UTF-8 without its neighbours."""
    assert canonical_path(f"/a%{digits.format(octet)}b") is None


@pytest.mark.parametrize("method", ["GET", "POST", "DELETE", "M-SEARCH", "VERSION_CONTROL", "X", "A1", "FOO", "A" * 32])
def test_an_upper_case_word_is_a_method(method: str) -> None:
    """Which of them a route takes is the route's business."""
    assert known_method(method)


@pytest.mark.shows("O13", "S58", "N26")
@pytest.mark.parametrize(
    "method",
    [
        *("", "get", "Get", "gET", "g", "GET ", " GET", "GET\n", "GET,POST", "G ET", "GET/1"),
        "1GET",
        "-GET",
        "\xc9",
        "G\x00",
        "A" * 33,
    ],
)
def test_anything_else_is_no_method(method: str) -> None:
    """Methods are compared exactly, so `get` must not slip past a rule for `GET`."""
    assert not known_method(method)


HOSTS = {
    "api.example.com": "api.example.com",
    "A.B.Example.COM": "a.b.example.com",
    "EX.com:8443": "ex.com",
    "ex.com.": "ex.com",
    "A.B.Example.COM.:443": "a.b.example.com",
    "localhost": "localhost",
    "my_service": "my_service",
    "xn--bcher-kva.example": "xn--bcher-kva.example",
    "127.0.0.1:80": "127.0.0.1",
    "[::1]": "[::1]",
    "[2001:DB8::1]:8443": "[2001:db8::1]",
    "a" * 63 + ":65535": "a" * 63,
}


@pytest.mark.shows("S59", "E52", "N27")
@pytest.mark.parametrize(("host", "canonical"), HOSTS.items())
def test_a_host_is_lower_case_without_port_and_final_dot(host: str, canonical: str) -> None:
    """All spellings of one host fall under the same rules."""
    assert canonical_host(host) == canonical


@pytest.mark.shows("O13", "S59", "E52")
@pytest.mark.parametrize(
    "host",
    [
        *("", " ", ".", ":80", "ex.com..", ".ex.com", "a..b", "-a.com", "a.-b"),
        *("a.com,b.com", "a.com, b.com", "a.com b.com", "user@a.com", "a.com@b", "a.com/b", "a.com?b", "a.com#b"),
        *("a.com:", "a.com:x", "a.com:123456", "a.com:80:80", "a.com:-1", "http://a.com"),
        *("a.com\n", "a.com\r", "\ta.com", "a\x00b", "a%2eb", "*.com", "[::1", "::1", "[]", "[a.com]", "[::1%25lo]"),
        *(
            "b\xfccher.example",
            "\u212aelvin.example",
            "a\u3002b",
            pytest.param("a" * (MAX_HOST_LENGTH + 1), id="too long"),
        ),
    ],
)
def test_what_is_not_one_host_is_refused(host: str) -> None:
    """No choice among several, no user, no path, no letters that some servers map to others."""
    assert canonical_host(host) is None
