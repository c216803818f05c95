"""A running deployment, asked from outside as a client without rights would ask: every answer has to be a no.

1. without a token      each protected route, each method: 401 with the challenge of the policy
2. with a made-up one   each protected route once: 401 `invalid_token`, so the token reaches extauthz and is looked up
3. with a path trick    400
4. public routes        are told, so that nobody is surprised
"""

import secrets
from dataclasses import dataclass, field

import httpx

from extauthz.core.challenge import challenge
from extauthz.core.decision import Reason
from extauthz.core.paths import canonical_host
from extauthz.core.policy import Rule
from extauthz.core.routes import RouteTable
from extauthz.doctor.examples import WORD, Example, example, methods_of
from extauthz.doctor.findings import Finding, Severity

MAX_REQUESTS = 500
"""How many requests one run sends unless told otherwise."""

TIMEOUT_SECONDS = 5.0
"""How long an answer may take."""

PATIENCE = 3
"""Requests in a row without any answer, after which no more are sent."""

_BAD_REQUEST = 400
_UNAUTHORIZED = 401
_FORBIDDEN = 403
_REFUSALS = (_BAD_REQUEST, _UNAUTHORIZED, _FORBIDDEN, 429)
_TROUBLE = range(500, 600)
_SHOWN = 10
_NOBODYS = Rule(name="", path="/")

_WHY_OPEN = "The request reached the application, or something else that asks nobody: there is a way around extauthz."
_WHY_OTHER = "The policy that runs there is another one than in the file, or the gateway judges for itself."
_WHY_TROUBLE = "Neither a yes nor a no: nobody gets through, whatever token they have."
_WHY_LOST = "The token does not reach extauthz, so no token will ever do."
_WHY_REWRITTEN = "What is judged there is not what the client wrote: one path is judged, another may be served."
_WHY_SKIPPED = "Only GET and HEAD are sent by themselves, and not endlessly many."

_FILES = "extauthz doctor --envoy FILE, or --nginx FILE, shows the way around"
_LOOK = "reload the policy, or name the --config that runs there"
_READY = "see whether the gateway and extauthz run: GET /readyz"
_SEND_IT = "Envoy: authorization in allowed_headers; NGINX: proxy_set_header Authorization $http_authorization;"
_REJECT = (
    "Envoy: path_with_escaped_slashes_action: REJECT_REQUEST; NGINX: X-Original-URI from $request_uri,"
    " and error_page as in gateway/nginx.conf, without which our 400 is a 403"
)


def open_client() -> httpx.Client:
    """A client that goes where it is told and nowhere else."""
    headers = {"User-Agent": "extauthz-doctor"}
    return httpx.Client(headers=headers, timeout=TIMEOUT_SECONDS, follow_redirects=False)


def probe(
    client: httpx.Client,
    url: httpx.URL,
    routes: RouteTable | None,
    *,
    unsafe_methods: bool = False,
    max_requests: int = MAX_REQUESTS,
) -> list[Finding]:
    """What a gateway answers at this URL; without routes, only what can be told without them."""
    asking = _Asking(client=client, url=url, left=max_requests)
    if routes is None:
        asking.stranger()
        asking.trick(f"/{WORD}", f"/{WORD}", "")
    else:
        asking.protected(routes, unsafe=unsafe_methods)
        asking.public(routes)
    asking.conclude()
    return asking.findings


@dataclass(slots=True, kw_only=True)
class _Asking:
    """One run. `left` counts the requests that may still be sent, `silent` those without an answer in a row."""

    client: httpx.Client
    url: httpx.URL
    left: int
    silent: int = 0
    findings: list[Finding] = field(default_factory=list)
    skipped: list[str] = field(default_factory=list)

    @property
    def host(self) -> str:
        return canonical_host(self.url.host) or self.url.host

    def protected(self, routes: RouteTable, *, unsafe: bool) -> None:
        """Steps 1 to 3, the most telling first: there may be more routes than requests."""
        first = []
        for rule in (rule for rule in routes.rules if not rule.anonymous):
            methods = methods_of(rule, unsafe=unsafe)
            places = [place for place in (example(routes, rule, each, self.host) for each in methods) if place]
            if not places:
                self.skipped.append(f"{rule.name} ({', '.join(rule.methods) or rule.path})")
            for place in places:
                self._without_token(place)
            first += places[:1]
        for place in first[:1]:
            self.trick(self._open_path(routes), place.path, place.host)
        for place in first:
            self._with_forged_token(place)

    def public(self, routes: RouteTable) -> None:
        """Step 4."""
        for rule in (rule for rule in routes.rules if rule.anonymous):
            place = self._safe_example(routes, rule)
            response = self._ask(place) if place is not None else None
            if place is None:
                self.skipped.append(f"{rule.name} ({', '.join(rule.methods) or rule.path}, public)")
            elif response is not None and response.status_code in (*_REFUSALS, *_TROUBLE):
                what = f"{rule.name} is public in the policy, and answers {response.status_code}"
                self._odd("public", place, what, _WHY_OTHER, _LOOK)
            elif response is not None:
                self._good("public", place, f"{rule.name} is public by the policy ({response.status_code})")

    def stranger(self) -> None:
        """A path that surely no application has."""
        place = Example(rule=_NOBODYS, method="GET", host="", path=f"/{WORD}-{secrets.token_hex(4)}")
        response = self._ask(place)
        if response is not None and response.status_code in (_UNAUTHORIZED, _FORBIDDEN):
            self._good("no-token", place, f"an unknown path is refused without a token ({response.status_code})")
        elif response is not None:
            self._not_a_no(place, response.status_code)

    def trick(self, through: str, protected: str, host: str) -> None:
        """A path that one reader takes for another than the next does."""
        path = f"{through.rstrip('/')}/..%2f{protected.lstrip('/')}"
        place = Example(rule=_NOBODYS, method="GET", host=host, path=path)
        response = self._ask(place)
        if response is not None and response.status_code == _BAD_REQUEST:
            self._good("path-trick", place, "a path with two readings is refused (400)")
        elif response is not None:
            what = f"a path with two readings is answered with {response.status_code} instead of 400"
            self._bad("path-trick", place, what, _WHY_REWRITTEN, _REJECT)

    def conclude(self) -> None:
        """What was left out."""
        if self.skipped:
            shown = ", ".join(self.skipped[:_SHOWN])
            more = f" and {len(self.skipped) - _SHOWN} more" if len(self.skipped) > _SHOWN else ""
            fix = "--unsafe-methods, where a request that gets through does no harm; --max-requests for more of them"
            finding = Finding(
                severity=Severity.WARNING,
                check="not-asked",
                where=str(self.url),
                what=f"not asked: {shown}{more}",
                why=_WHY_SKIPPED,
                fix=fix,
            )
            self.findings.append(finding)

    def _open_path(self, routes: RouteTable) -> str:
        """A path that is open by the policy, or one that nobody knows."""
        public = (self._safe_example(routes, rule) for rule in routes.rules if rule.anonymous)
        return next((place.path for place in public if place is not None), f"/{WORD}")

    def _safe_example(self, routes: RouteTable, rule: Rule) -> Example | None:
        methods = methods_of(rule, unsafe=False)
        return example(routes, rule, methods[0], self.host) if methods else None

    def _without_token(self, place: Example) -> None:
        response = self._ask(place)
        if response is None:
            return
        challenges = _bearer_challenges(response)
        if response.status_code != _UNAUTHORIZED or not challenges:
            self._not_a_no(place, response.status_code)
        elif challenge(Reason.NO_CREDENTIALS, place.rule.realm) in challenges:
            self._good("no-token", place, f"{place.rule.name} is refused without a token (401)")
        else:
            what = f"{place.rule.name} is refused with another challenge than the policy's: {challenges[0]}"
            self._odd("no-token", place, what, _WHY_OTHER, _LOOK)

    def _with_forged_token(self, place: Example) -> None:
        response = self._ask(place, token=secrets.token_urlsafe(32))
        if response is None:
            return
        status, challenges, name = response.status_code, _bearer_challenges(response), place.rule.name
        if status == _UNAUTHORIZED and any('error="invalid_token"' in each for each in challenges):
            self._good("forged-token", place, f"{name} refuses a made-up token (401 invalid_token)")
        elif status == _UNAUTHORIZED and challenges:
            what = f"{name} answers a made-up token as if there were none"
            self._bad("forged-token", place, what, _WHY_LOST, _SEND_IT)
        elif status in _TROUBLE:
            what = f"{name} answers a made-up token with {status}"
            fix = "the log of extauthz says why it cannot ask the authorization server"
            self._bad("forged-token", place, what, _WHY_TROUBLE, fix)
        else:
            what = f"{name} answers a made-up token with {status} instead of 401 invalid_token"
            self._bad("forged-token", place, what, _WHY_OPEN, _FILES)

    def _not_a_no(self, place: Example, status: int) -> None:
        """What came instead of a 401 of ours."""
        name = place.rule.name or "an unknown path"
        if status == _UNAUTHORIZED:
            what = f"{name} answers 401 without a Bearer challenge: somebody else than extauthz said it"
            self._bad("no-token", place, what, _WHY_OPEN, _FILES)
        elif status in _TROUBLE:
            self._bad("no-token", place, f"{name} answers {status}", _WHY_TROUBLE, _READY)
        elif status in _REFUSALS:
            self._bad("no-token", place, f"{name} is refused with {status} instead of 401", _WHY_OTHER, _LOOK)
        else:
            self._bad("no-token", place, f"{name} answers without a token: {status}", _WHY_OPEN, _FILES)

    def _ask(self, place: Example, token: str = "") -> httpx.Response | None:
        """The head of the answer; None when none came, or when enough was asked."""
        if self.silent >= PATIENCE or self.left <= 0:
            self.skipped.append(f"{place.method} {place.path}" + (" with a token" if token else ""))
            return None
        self.left -= 1
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        if place.host:
            headers["Host"] = place.host
        target = self.url.copy_with(raw_path=place.path.encode())
        try:
            with self.client.stream(place.method, target, headers=headers, follow_redirects=False) as response:
                self.silent = 0
                return response
        except httpx.HTTPError as error:
            self.silent += 1
            self._bad("reachable", place, f"no answer: {str(error) or type(error).__name__}", _WHY_TROUBLE, _READY)
            return None

    def _good(self, check: str, place: Example, what: str) -> None:
        self._report(place, severity=Severity.OK, check=check, what=what)

    def _bad(self, check: str, place: Example, what: str, why: str, fix: str) -> None:
        self._report(place, severity=Severity.ERROR, check=check, what=what, why=why, fix=fix)

    def _odd(self, check: str, place: Example, what: str, why: str, fix: str) -> None:
        self._report(place, severity=Severity.WARNING, check=check, what=what, why=why, fix=fix)

    def _report(
        self, place: Example, *, severity: Severity, check: str, what: str, why: str = "", fix: str = ""
    ) -> None:
        host = f" (Host: {place.host})" if place.host else ""
        where = f"{place.method} {str(self.url).rstrip('/')}{place.path}{host}"
        self.findings.append(Finding(severity=severity, check=check, where=where, what=what, why=why, fix=fix))


def _bearer_challenges(response: httpx.Response) -> list[str]:
    return [each for each in response.headers.get_list("www-authenticate") if each.lower().startswith("bearer")]
