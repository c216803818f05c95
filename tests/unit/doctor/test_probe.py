"""A deployment is judged by what it answers to somebody who may do nothing."""

from collections.abc import Callable

import httpx
import pytest

from extauthz.core.challenge import challenge
from extauthz.core.decision import Reason
from extauthz.core.paths import canonical_path
from extauthz.core.policy import Rule
from extauthz.core.routes import RouteTable
from extauthz.doctor.examples import UNSAFE_METHODS, example, methods_of
from extauthz.doctor.findings import Finding, Severity
from extauthz.doctor.probe import PATIENCE, open_client, probe

URL = httpx.URL("https://api.example.com")
RULES = (
    Rule(name="health", path="/healthz", anonymous=True),
    Rule(name="orders", path="/orders", methods=("GET", "POST"), alternatives=(frozenset({"orders"}),)),
    Rule(name="order", path="/orders/{id}", methods=("GET",), alternatives=(frozenset({"orders"}),)),
    Rule(name="lines", path="/orders/**", methods=("HEAD",), alternatives=(frozenset({"orders"}),)),
    Rule(name="any", path="/any", alternatives=(frozenset(),)),
    Rule(name="tenant", path="/orders", host="*.tenant.example.com", alternatives=(frozenset(),)),
    Rule(name="write-only", path="/in", methods=("PUT",), alternatives=(frozenset(),)),
)
ROUTES = RouteTable.build(RULES)[0]
NO_TOKEN = {"WWW-Authenticate": challenge(Reason.NO_CREDENTIALS, "api")}
INVALID = {"WWW-Authenticate": challenge(Reason.INACTIVE, "api")}

Answer = Callable[[httpx.Request], httpx.Response]
OK, WARNING, ERROR = Severity.OK, Severity.WARNING, Severity.ERROR


def strict(request: httpx.Request) -> httpx.Response:
    """What a gateway with extauthz answers."""
    path = canonical_path(request.url.raw_path.decode())
    if path is None:
        return httpx.Response(400)
    rule = ROUTES.match(request.method, request.headers["host"], path)
    if rule is None:
        return httpx.Response(403)
    if rule.anonymous:
        return httpx.Response(200)
    return httpx.Response(401, headers=INVALID if "authorization" in request.headers else NO_TOKEN)


class Deployment:
    """Answers as told, `strict` unless a path has an answer of its own; remembers what it was asked."""

    def __init__(self, answers: dict[str, Answer] | None = None) -> None:
        self.answers = answers or {}
        self.asked: list[httpx.Request] = []

    def probed(
        self, routes: RouteTable | None = ROUTES, *, unsafe_methods: bool = False, max_requests: int = 100
    ) -> list[Finding]:
        with httpx.Client(transport=httpx.MockTransport(self._answer)) as client:
            return probe(client, URL, routes, unsafe_methods=unsafe_methods, max_requests=max_requests)

    def _answer(self, request: httpx.Request) -> httpx.Response:
        self.asked.append(request)
        return self.answers.get(request.url.raw_path.decode(), strict)(request)


def always(status: int, headers: dict[str, str] | None = None) -> Answer:
    return lambda _: httpx.Response(status, headers=headers)


def only(findings: list[Finding], *severities: Severity) -> list[tuple[str, str]]:
    return [(each.check, each.where) for each in findings if each.severity in severities]


class TestAStrictDeployment:
    def test_has_no_error(self) -> None:
        findings = Deployment().probed()
        assert only(findings, ERROR) == []
        assert only(findings, WARNING) == [("not-asked", str(URL))]
        assert "write-only (PUT)" in findings[-1].what

    @pytest.mark.shows("N63")
    def test_each_protected_route_is_asked_with_a_path_that_it_decides(self) -> None:
        deployment = Deployment()
        deployment.probed()
        bare = [
            (each.method, each.url.raw_path.decode(), each.headers["host"])
            for each in deployment.asked
            if "authorization" not in each.headers
        ]
        assert bare == [
            ("GET", "/orders", "api.example.com"),
            ("GET", "/orders/doctor", "api.example.com"),
            ("HEAD", "/orders/doctor/doctor", "api.example.com"),
            ("GET", "/any", "api.example.com"),
            ("HEAD", "/any", "api.example.com"),
            ("GET", "/orders", "doctor.tenant.example.com"),
            ("HEAD", "/orders", "doctor.tenant.example.com"),
            ("GET", "/healthz/..%2forders", "api.example.com"),
            ("GET", "/healthz", "api.example.com"),
        ]

    def test_each_protected_route_is_asked_once_with_a_token_that_nobody_issued(self) -> None:
        deployment = Deployment()
        deployment.probed()
        forged = [each.headers["authorization"] for each in deployment.asked if "authorization" in each.headers]
        assert len(set(forged)) == len(forged) == 5

    def test_nothing_is_changed_unless_asked_for(self) -> None:
        deployment = Deployment()
        deployment.probed()
        assert {each.method for each in deployment.asked} <= {"GET", "HEAD"}
        findings = deployment.probed(unsafe_methods=True)
        assert only(findings, ERROR, WARNING) == []
        assert {each.method for each in deployment.asked} == {"GET", "HEAD", *UNSAFE_METHODS}

    def test_public_routes_are_told(self) -> None:
        (finding,) = (each for each in Deployment().probed() if each.check == "public")
        assert (finding.severity, finding.what) == (OK, "health is public by the policy (200)")


class TestAWayAround:
    @pytest.mark.parametrize("status", [200, 204, 206, 301, 302, 304, 404, 405, 406, 409, 410, 415, 422])
    def test_whatever_the_application_answers_is_an_error(self, status: int) -> None:
        findings = Deployment({"/any": always(status)}).probed()
        first = next(each for each in findings if each.severity is ERROR)
        assert first.what == f"any answers without a token: {status}"
        assert first.where == "GET https://api.example.com/any"
        assert {check for check, _ in only(findings, ERROR)} == {"no-token", "forged-token"}

    @pytest.mark.parametrize("challenge_header", [{}, {"WWW-Authenticate": 'Basic realm="x"'}])
    def test_a_401_of_somebody_else_is_an_error(self, challenge_header: dict[str, str]) -> None:
        findings = Deployment({"/any": always(401, challenge_header)}).probed()
        assert ("no-token", "GET https://api.example.com/any") in only(findings, ERROR)

    def test_a_made_up_token_that_passes_is_an_error(self) -> None:
        def credulous(request: httpx.Request) -> httpx.Response:
            return httpx.Response(200) if "authorization" in request.headers else strict(request)

        assert only(Deployment({"/any": credulous}).probed(), ERROR) == [
            ("forged-token", "GET https://api.example.com/any")
        ]

    def test_a_redirect_is_not_followed(self) -> None:
        deployment = Deployment({"/any": always(302, {"Location": "https://elsewhere.example.com/"})})
        deployment.probed()
        assert {each.url.host for each in deployment.asked} == {"api.example.com"}

    @pytest.mark.parametrize("status", [200, 301, 401, 403, 404])
    def test_a_path_trick_that_is_not_refused_as_such_is_an_error(self, status: int) -> None:
        trick = "/healthz/..%2forders"
        assert only(Deployment({trick: always(status)}).probed(), ERROR) == [("path-trick", f"GET {URL}{trick}")]


class TestTrouble:
    def test_a_token_that_does_not_arrive_is_an_error(self) -> None:
        findings = Deployment({"/any": always(401, NO_TOKEN)}).probed()
        assert only(findings, ERROR) == [("forged-token", "GET https://api.example.com/any")]

    def test_an_authorization_server_that_is_down_is_an_error(self) -> None:
        def down(request: httpx.Request) -> httpx.Response:
            return httpx.Response(503) if "authorization" in request.headers else strict(request)

        (finding,) = (each for each in Deployment({"/any": down}).probed() if each.severity is ERROR)
        assert (finding.check, finding.what) == ("forged-token", "any answers a made-up token with 503")

    @pytest.mark.parametrize("status", [400, 403, 429, 500, 502, 503])
    def test_a_refusal_that_is_not_ours_is_an_error(self, status: int) -> None:
        findings = Deployment({"/any": always(status)}).probed()
        assert ("no-token", "GET https://api.example.com/any") in only(findings, ERROR)

    def test_the_challenge_of_another_policy_is_a_warning(self) -> None:
        other = {"WWW-Authenticate": 'Bearer realm="other", error="invalid_token"'}
        findings = Deployment({"/any": always(401, other)}).probed()
        assert only(findings, ERROR) == []
        assert ("no-token", "GET https://api.example.com/any") in only(findings, WARNING)

    @pytest.mark.parametrize("status", [401, 403, 502])
    def test_a_public_route_that_is_refused_is_a_warning(self, status: int) -> None:
        findings = Deployment({"/healthz": always(status)}).probed()
        assert ("public", "GET https://api.example.com/healthz") in only(findings, WARNING)


class TestBounds:
    def test_no_more_requests_are_sent_than_allowed(self) -> None:
        deployment = Deployment()
        findings = deployment.probed(max_requests=4)
        assert [each.url.raw_path for each in deployment.asked][-1] == b"/any"
        assert len(deployment.asked) == 4
        assert findings[-1].check == "not-asked"
        assert findings[-1].what.startswith("not asked: HEAD /any, GET /orders, HEAD /orders, write-only (PUT), ")

    def test_a_gateway_that_does_not_answer_is_left_alone(self) -> None:
        def silent(_: httpx.Request) -> httpx.Response:
            raise httpx.ConnectError("refused")

        deployment = Deployment(dict.fromkeys(("/orders", "/orders/doctor", "/orders/doctor/doctor"), silent))
        findings = deployment.probed()
        assert len(deployment.asked) == PATIENCE
        assert [check for check, _ in only(findings, ERROR)] == ["reachable"] * PATIENCE

    def test_a_long_list_of_what_was_not_asked_is_cut(self) -> None:
        rules = [Rule(name=f"r{n}", path=f"/{n}", methods=("PUT",), alternatives=(frozenset(),)) for n in range(12)]
        (finding,) = Deployment().probed(RouteTable.build(rules)[0])
        assert finding.what.endswith("r9 (PUT) and 2 more")

    def test_the_client_goes_nowhere_by_itself(self) -> None:
        with open_client() as client:
            assert client.follow_redirects is False
            assert client.timeout.read is not None


class TestWithoutAPolicy:
    @pytest.mark.parametrize("status", [401, 403])
    def test_an_unknown_path_has_to_be_refused(self, status: int) -> None:
        findings = self.probed(status)
        assert only(findings, ERROR, WARNING) == []
        assert [each.check for each in findings] == ["no-token", "path-trick"]

    @pytest.mark.parametrize("status", [200, 302, 404, 503])
    def test_any_other_answer_is_an_error(self, status: int) -> None:
        assert [check for check, _ in only(self.probed(status), ERROR)] == ["no-token"]

    def probed(self, status: int) -> list[Finding]:
        def answer(request: httpx.Request) -> httpx.Response:
            return httpx.Response(400 if b"%2f" in request.url.raw_path else status)

        with httpx.Client(transport=httpx.MockTransport(answer)) as client:
            return probe(client, URL, None)


class TestExamples:
    def test_a_rule_that_others_hide_everywhere_has_none(self) -> None:
        wide = Rule(name="wide", path="/**", alternatives=(frozenset(),))
        hiding = Rule(name="hiding", path="/**", host="x.example.com", alternatives=(frozenset(),))
        routes, _ = RouteTable.build([wide, hiding])
        found = example(routes, wide, "GET", "x.example.com")
        assert found is not None
        assert (found.host, found.path) == ("doctor.invalid", "/doctor")

    def test_a_rule_that_does_not_list_the_method_has_none(self) -> None:
        assert example(ROUTES, RULES[3], "GET", "api.example.com") is None

    def test_the_host_of_the_url_is_taken_where_it_fits(self) -> None:
        found = example(ROUTES, RULES[5], "GET", "a.tenant.example.com")
        assert found is not None
        assert found.host == ""

    def test_a_word_is_changed_where_another_rule_has_it(self) -> None:
        rule = Rule(name="one", path="/{x}", alternatives=(frozenset(),))
        routes, _ = RouteTable.build([rule, Rule(name="doctor", path="/doctor", anonymous=True)])
        found = example(routes, rule, "GET", "h")
        assert found is not None
        assert found.path == "/doctor-2"

    def test_unsafe_methods_are_those_that_are_listed(self) -> None:
        assert methods_of(RULES[1], unsafe=True) == ("GET", "POST")
        assert methods_of(RULES[1], unsafe=False) == ("GET",)
