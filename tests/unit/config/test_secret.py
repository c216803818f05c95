"""A secret cannot print."""

import copy
import pickle

import pytest

from extauthz.config.secret import Secret


def test_only_reveal_gives_the_text() -> None:
    """Logging a secret by mistake shows nothing of it."""
    secret = Secret("canary")
    assert secret.reveal() == "canary"
    assert "canary" not in f"{secret} {secret!r} {[secret]} {(secret,)!r}"


def test_a_secret_is_neither_pickled_nor_copied() -> None:
    """It stays where it was put."""
    with pytest.raises(TypeError):
        pickle.dumps(Secret("canary"))
    with pytest.raises(TypeError):
        copy.copy(Secret("canary"))
