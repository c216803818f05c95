"""Who may change something on the operator's listener."""

from collections.abc import Mapping

import pytest

from extauthz.wire.ops_access import Guard, RefusedError

SECRET = "a-secret-of-the-operator"
SHOWN = b"Bearer " + SECRET.encode()


def admitted(guard: Guard, shown: bytes | None, method: str = "POST") -> Mapping[bytes, bytes]:
    """The headers, if the sender of this is let in."""
    headers = [] if shown is None else [(b"Authorization", shown)]
    return guard.admit({"method": method, "headers": headers}, "reload")


@pytest.mark.parametrize("shown", [SHOWN, b"bearer  " + SECRET.encode()])
def test_whoever_posts_and_shows_the_token_may(shown: bytes) -> None:
    """The scheme in any case (RFC 9110 §11.1)."""
    assert admitted(Guard(lambda: SECRET), shown) == {b"authorization": shown}


@pytest.mark.parametrize(
    ("secret", "method", "shown", "status"),
    [
        (SECRET, "GET", SHOWN, 405),
        (SECRET, "POST", None, 401),
        (SECRET, "POST", b"Basic " + SECRET.encode(), 401),
        (SECRET, "POST", b"Bearer " + SECRET[:-1].encode(), 401),
        ("", "POST", b"Bearer ", 403),
        ("", "POST", None, 403),
    ],
)
def test_nobody_else_may(secret: str, method: str, shown: bytes | None, status: int) -> None:
    """And what is shown does not stand in the answer."""
    with pytest.raises(RefusedError) as refused:
        admitted(Guard(lambda: secret), shown, method)
    assert refused.value.answer.status == status
    assert SECRET[:-1] not in str(refused.value.answer)


def test_the_token_is_the_one_of_now() -> None:
    """One that was replaced opens nothing."""
    now = [SECRET]
    guard = Guard(lambda: now[0])
    assert admitted(guard, SHOWN)
    now[0] = "another-secret-of-the-operator"
    with pytest.raises(RefusedError):
        admitted(guard, SHOWN)
