"""`WWW-Authenticate` challenges (RFC 6750 §3, RFC 9110 §11.6.1): one line, one scheme, each parameter once."""

import re

from extauthz.core.decision import OUTCOMES, Reason

DESCRIPTIONS = {
    Reason.MALFORMED_CREDENTIALS: "The Authorization header is malformed",
    Reason.SEVERAL_CREDENTIALS: "More than one access token was sent",
    Reason.INSUFFICIENT_SCOPE: "The access token does not have the required scope",
    Reason.INSUFFICIENT_DETAILS: "The access token does not have the required authorization details",
}
_INVALID_TOKEN = "The access token is invalid or expired"  # noqa: S105 - a sentence
_REALM = re.compile(r"[\x20-\x7E]+")


def check_realm(realm: str) -> str:
    """Return the realm unchanged.

    Raises:
        ValueError: when it is empty or has a character that no header may carry.
    """
    if _REALM.fullmatch(realm) is None:
        raise ValueError("a realm is one or more printable ASCII characters")
    return realm


def challenge(reason: Reason, realm: str, scope: tuple[str, ...] = ()) -> str:
    """The challenge that goes with a reason, or an empty string where the answer carries none.

    Without credentials there is no `error` (RFC 6750 §3.1). `scope` is given only for `insufficient_scope`.
    """
    outcome = OUTCOMES[reason]
    if not outcome.challenged:
        return ""
    quoted = realm.replace("\\", "\\\\").replace('"', '\\"')
    parameters = [f'realm="{quoted}"']
    if outcome.error:
        parameters.append(f'error="{outcome.error}"')
        parameters.append(f'error_description="{DESCRIPTIONS.get(reason, _INVALID_TOKEN)}"')
    if reason is Reason.INSUFFICIENT_SCOPE and scope:
        parameters.append(f'scope="{" ".join(scope)}"')
    return "Bearer " + ", ".join(parameters)
