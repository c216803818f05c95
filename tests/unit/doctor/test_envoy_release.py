"""Which releases of Envoy have the fixes that the check relies on."""

import httpx
import pytest

from extauthz.doctor.envoy_release import ask_release, judge_release
from extauthz.doctor.findings import Severity

ERROR, OK, WARNING = Severity.ERROR, Severity.OK, Severity.WARNING
ADMIN = httpx.URL("http://127.0.0.1:9901")

VERSIONS = {
    "1.36.4": ERROR,
    "1.36.9": ERROR,
    "1.36.10": OK,
    "1.37.5": ERROR,
    "1.37.6": OK,
    "1.38.3": ERROR,
    "1.38.4": OK,
    "1.39.0": ERROR,
    "1.39.1": OK,
    "1.40.0": OK,
    "2.0.0": OK,
    "1.41.0-dev": OK,
    "1.35.20": ERROR,
    "0.9.0": ERROR,
    "1.36": WARNING,
    "main": WARNING,
}


@pytest.mark.parametrize(("number", "severity"), VERSIONS.items())
def test_a_release_without_its_patches_is_an_error(number: str, severity: Severity) -> None:
    finding = judge_release(f"0a1b2c/{number}/Clean/RELEASE/BoringSSL", "here")
    assert (finding.severity, finding.check, finding.where) == (severity, "envoy-release", "here")
    assert number.removesuffix("-dev") in finding.what


@pytest.mark.parametrize(("number", "fix"), [("1.36.4", "1.36.10 or newer"), ("1.30.0", "1.39.1 or newer")])
def test_the_remedy_is_a_patch_of_the_same_release_while_there_is_one(number: str, fix: str) -> None:
    assert judge_release(f"0/{number}/Clean/RELEASE/BoringSSL", "").fix == fix


@pytest.mark.parametrize(
    "answer",
    [
        httpx.Response(404),
        httpx.Response(200, text="<html>"),
        httpx.Response(200, json={}),
        httpx.Response(200, json=[]),
        httpx.Response(302, headers={"Location": "http://elsewhere"}),
    ],
)
def test_who_is_no_envoy_is_an_error(answer: httpx.Response) -> None:
    client = httpx.Client(transport=httpx.MockTransport(lambda _: answer))
    assert ask_release(client, ADMIN).severity is ERROR


def test_it_asks_the_admin_interface_once() -> None:
    asked: list[str] = []

    def answer(request: httpx.Request) -> httpx.Response:
        asked.append(str(request.url))
        return httpx.Response(200, json={"version": "0a/1.40.0/Clean/RELEASE/BoringSSL", "state": "LIVE"})

    finding = ask_release(httpx.Client(transport=httpx.MockTransport(answer)), ADMIN)
    assert (finding.severity, finding.what) == (OK, "Envoy is 1.40.0")
    assert asked == ["http://127.0.0.1:9901/server_info"] == [finding.where]
