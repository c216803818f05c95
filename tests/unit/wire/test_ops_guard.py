"""Who may change something on the operator's listener."""

import pytest

from extauthz.wire.ops_guard import Guard

SECRET = "a-secret-of-the-operator"
SHOWN = {b"authorization": b"Bearer " + SECRET.encode()}


def test_whoever_posts_and_shows_the_token_may() -> None:
    """The scheme in any case (RFC 9110 §11.1)."""
    guard = Guard(lambda: SECRET)
    assert guard.refusal("POST", SHOWN, "reload") is None
    assert guard.refusal("POST", {b"authorization": b"bearer  " + SECRET.encode()}, "reload") is None


@pytest.mark.parametrize(
    ("secret", "method", "headers", "status"),
    [
        (SECRET, "GET", SHOWN, 405),
        (SECRET, "POST", {}, 401),
        (SECRET, "POST", {b"authorization": b"Basic " + SECRET.encode()}, 401),
        (SECRET, "POST", {b"authorization": b"Bearer " + SECRET[:-1].encode()}, 401),
        ("", "POST", {b"authorization": b"Bearer "}, 403),
        ("", "POST", {}, 403),
    ],
)
def test_nobody_else_may(secret: str, method: str, headers: dict[bytes, bytes], status: int) -> None:
    """And what is shown does not stand in the answer."""
    refusal = Guard(lambda: secret).refusal(method, headers, "reload")
    assert refusal is not None
    assert refusal.status == status
    assert SECRET[:-1] not in str(refusal)


def test_the_token_is_the_one_of_now() -> None:
    """One that was replaced opens nothing."""
    now = [SECRET]
    guard = Guard(lambda: now[0])
    assert guard.refusal("POST", SHOWN, "reload") is None
    now[0] = "another-secret-of-the-operator"
    assert guard.refusal("POST", SHOWN, "reload") is not None
