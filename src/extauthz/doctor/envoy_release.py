"""The release of a running Envoy, by its admin address: whether it has the security fixes that the check relies on."""

import re

import httpx

from extauthz.doctor.findings import Finding, Severity

PATCHES = {(1, 36): 10, (1, 37): 6, (1, 38): 4, (1, 39): 1}
"""The least patch of each release with all fixes of path normalisation and ext_authz; later releases came with them."""

_VERSION = re.compile(r"[0-9a-f]+/(\d+)\.(\d+)\.(\d+)(?:-dev)?/.+")
_NEWEST = ".".join(map(str, (*max(PATCHES), PATCHES[max(PATCHES)])))
_WHY = "Older ones read a path in another way than it is served, or crash in ext_authz, whatever their file says."
_HOLES = "https://github.com/envoyproxy/envoy/security/advisories"


def ask_release(client: httpx.Client, admin: httpx.URL) -> Finding:
    """What the Envoy at this admin address is."""
    url = admin.copy_with(path="/server_info")
    try:
        version = str(client.get(url).raise_for_status().json()["version"])
    except (httpx.HTTPError, ValueError, KeyError, TypeError) as error:
        what = f"Envoy does not say which release it is: {str(error) or type(error).__name__}"
        fix = "--envoy-admin with the address of `admin` in Envoy's file"
        return _finding(Severity.ERROR, str(url), what, fix)
    return judge_release(version, str(url))


def judge_release(version: str, where: str) -> Finding:
    """What to think of a version, as `/server_info` has it: `commit/1.36.4/Clean/RELEASE/BoringSSL`."""
    match = _VERSION.fullmatch(version)
    if match is None:
        return _finding(
            Severity.WARNING, where, f"{version} is no version of Envoy that is known here", f"see {_HOLES}"
        )
    release, patch = (int(match[1]), int(match[2])), int(match[3])
    number = ".".join(match.groups())
    if release > max(PATCHES) or patch >= PATCHES.get(release, patch + 1):
        return Finding(severity=Severity.OK, check="envoy-release", where=where, what=f"Envoy is {number}")
    least = f"{release[0]}.{release[1]}.{PATCHES[release]}" if release in PATCHES else _NEWEST
    return _finding(Severity.ERROR, where, f"Envoy is {number}, which has known holes", f"{least} or newer")


def _finding(severity: Severity, where: str, what: str, fix: str) -> Finding:
    return Finding(severity=severity, check="envoy-release", where=where, what=what, why=_WHY, fix=fix)
