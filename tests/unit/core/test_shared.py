"""Equal values that many tokens have are one object."""

import pytest

from extauthz.core.introspection import Active, Answer, read_answer
from extauthz.core.shared import shared_names, shared_text


def copy_of(text: str) -> str:
    """Another object with the same content."""
    return "".join(list(text))


@pytest.mark.parametrize("text", ["", "app", "https://as.example.com", "x" * 256, "é"])
def test_equal_texts_are_one_object(text: str) -> None:
    assert shared_text(copy_of(text)) is shared_text(copy_of(text))
    assert shared_text(text) == text


def test_nothing_stays_nothing() -> None:
    assert shared_text(None) is None


def test_long_values_are_not_remembered() -> None:
    """Whoever may choose them could otherwise fill the memory."""
    text = "x" * 257
    assert shared_text(copy_of(text)) is not shared_text(copy_of(text))
    assert shared_names((copy_of(text),)) is not shared_names((copy_of(text),))


def test_equal_audiences_are_one_object_in_their_order() -> None:
    assert shared_names(("a", "b")) is shared_names((copy_of("a"), copy_of("b")))
    assert shared_names(("b", "a")) == ("b", "a")


def test_two_answers_share_what_is_not_the_token_s_own() -> None:
    body = (
        b'{"active": true, "sub": "u-%d", "client_id": "app-1", "iss": "https://as.example.com", "aud": ["a-1", "b-1"]}'
    )

    def read(number: int) -> Active:
        answer = Answer(status=200, content_type="application/json", body=body % number)
        state = read_answer(answer, issuer=None, answers_others=True)
        assert isinstance(state, Active)
        return state

    first, second = read(1), read(2)
    assert first.sub != second.sub
    assert first.client_id is second.client_id
    assert first.iss is second.iss
    assert first.aud is second.aud
