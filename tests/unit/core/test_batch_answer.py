"""One answer about many tokens: each element is read as a single answer, or nothing is known about any."""

import json
from typing import Any

import pytest

from extauthz.core.batch_answer import MAX_BATCH_ANSWER_BYTES, read_batch_answer
from extauthz.core.decision import Reason
from extauthz.core.introspection import Active, Answer, Inactive, TokenState, Unavailable

ISSUER = "https://as.example.com"
YES: dict[str, Any] = {"active": True, "scope": "orders:read", "sub": "u1"}
NO: dict[str, Any] = {"active": False}


def read(body: object, *, count: int, status: int = 200, content_type: str = "application/json") -> object:
    """What an answer says about so many tokens."""
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    answer = Answer(status=status, content_type=content_type, body=content, retry_after="7")
    return read_batch_answer(answer, count=count, issuer=ISSUER)


def kind(state: TokenState) -> str:
    return "active" if isinstance(state, Active) else state.reason.value


def test_each_token_has_the_state_that_stands_in_its_place() -> None:
    """The order is all that binds them together."""
    states = read({"responses": [YES, NO, YES | {"sub": "u2"}]}, count=3)
    assert states == [
        Active(scopes=frozenset({"orders:read"}), scope="orders:read", sub="u1"),
        Inactive(),
        Active(scopes=frozenset({"orders:read"}), scope="orders:read", sub="u2"),
    ]


@pytest.mark.parametrize(
    ("element", "expected"),
    [
        (YES | {"iss": "https://other.example.com"}, "wrong_issuer"),
        (YES | {"token_use": "refresh_token"}, "not_an_access_token"),
        (YES | {"cnf": {"jkt": "x"}}, "sender_constrained"),
        ({"active": "true"}, "server_answer_invalid"),
        ({}, "server_answer_invalid"),
        (YES | {"exp": "soon"}, "server_answer_invalid"),
        (NO | {"exp": "soon"}, "inactive"),
    ],
)
def test_each_element_is_read_with_the_same_suspicion_as_a_single_answer(
    element: dict[str, Any], expected: str
) -> None:
    """And an odd one spoils itself alone."""
    states = read({"responses": [YES, element, NO]}, count=3)
    assert isinstance(states, list)
    assert [kind(state) for state in states] == ["active", expected, "inactive"]


@pytest.mark.parametrize(
    "body",
    [
        {"responses": []},
        {"responses": [YES]},
        {"responses": [YES, NO, NO]},
        {"responses": [YES, None]},
        {"responses": [YES, [NO]]},
        {"responses": {"0": YES, "1": NO}},
        {"Responses": [YES, NO]},
        [YES, NO],
        YES,
        b'{"responses":[{"active":false,"active":true},{"active":false}]}',
        b'{"responses":[{"active":true},{"active":true}],"responses":[{"active":false},{"active":false}]}',
        b'{"responses":[{"active":true},{"active":true}]} x',
        b"",
    ],
)
def test_a_list_that_does_not_fit_the_question_is_about_nothing(body: object) -> None:
    """A state must never come to stand under another token."""
    answer = read(body, count=2)
    assert isinstance(answer, Unavailable)
    assert answer.reason is Reason.SERVER_ANSWER_INVALID


@pytest.mark.parametrize(
    ("status", "body", "reason", "retry_after"),
    [
        (400, {"error": "unsupported_token_type"}, Reason.SERVER_ANSWER_INVALID, 0),
        (400, {"error": "invalid_request"}, Reason.SERVER_ANSWER_INVALID, 0),
        (400, {"error": "invalid_client"}, Reason.SERVER_REFUSED_US, 0),
        (401, b"", Reason.SERVER_REFUSED_US, 0),
        (403, b"", Reason.SERVER_REFUSED_US, 0),
        (404, b"", Reason.SERVER_ANSWER_INVALID, 0),
        (429, b"", Reason.SERVER_BUSY, 7),
        (503, b"", Reason.SERVER_ERROR, 7),
    ],
)
def test_no_status_says_anything_about_all_tokens_at_once(
    status: int, body: object, reason: Reason, retry_after: int
) -> None:
    """A 400 that would make one token inactive speaks of the batch here."""
    answer = read(body, count=2, status=status)
    assert isinstance(answer, Unavailable)
    assert (answer.reason, answer.retry_after) == (reason, retry_after)


def test_an_answer_may_be_larger_than_one_about_a_single_token() -> None:
    """Up to a limit of its own."""
    padded = {"responses": [NO], "padding": "x" * (1024 * 1024)}
    assert read(padded, count=1) == [Inactive()]
    oversized = read(b" " * (MAX_BATCH_ANSWER_BYTES + 1), count=1)
    assert isinstance(oversized, Unavailable)


def test_html_is_no_answer() -> None:
    """Whatever it contains."""
    assert isinstance(read({"responses": [YES]}, count=1, content_type="text/html"), Unavailable)
