"""The sections about how much a server is asked: their defaults, and what cannot be meant."""

from typing import Any

import pytest
from pydantic import BaseModel, ValidationError

from extauthz.config.limits import Batch, Circuit, InactiveLimit, Tokens
from extauthz.config.service_schema import AuthorizationServer, ServiceFile

SERVER = {
    "introspection_endpoint": "https://as.example.com/introspect",
    "client": {"id": "gateway", "secret": {"env": "CLIENT_SECRET"}},
}
PLAIN = "http://as.example.com/batch"


def test_what_is_left_out_has_the_documented_default() -> None:
    """A server that fails is left alone, batches and limits are off."""
    server = AuthorizationServer.model_validate(SERVER)
    assert (server.retries, server.max_waiting, server.self_check) == (1, 1000, True)
    circuit = server.circuit
    assert (circuit.failures, circuit.window, circuit.pause, circuit.longest_pause) == (10, 20, 1.0, 30.0)
    batch, tokens = server.batch, server.tokens
    assert (batch.delay, batch.size, batch.concurrency, batch.endpoint) == (0.0, 50, 4, None)
    assert (tokens.prefix, tokens.min_length, tokens.max_length, tokens.alphabet) == (None, 1, None, "any")
    assert ServiceFile.model_fields["inactive_limit"].default is None
    assert InactiveLimit().model_dump() == {"per_minute": 60, "burst": 20, "max_addresses": 10_000}


@pytest.mark.parametrize(
    ("section", "written"),
    [
        (Circuit, {"failures": 5, "window": 5, "pause": "2s", "longest_pause": "2s"}),
        (Batch, {"delay": "5ms", "endpoint": "https://as.example.com/introspect/batch"}),
        (Tokens, {"prefix": "ory_at_", "max_length": 7, "alphabet": "base64url"}),
        (InactiveLimit, {"per_minute": 1, "burst": 1, "max_addresses": 1}),
        (AuthorizationServer, {**SERVER, "retries": 0, "max_waiting": 0}),
        (AuthorizationServer, {**SERVER, "batch": {"delay": "5ms", "endpoint": "http://127.0.0.1/batch"}}),
        (
            AuthorizationServer,
            {**SERVER, "unsafe_allow_plain_http": True, "batch": {"delay": "5ms", "endpoint": PLAIN}},
        ),
    ],
)
def test_what_is_accepted(section: type[BaseModel], written: dict[str, Any]) -> None:
    """Up to its bounds."""
    assert section.model_validate(written).model_fields_set == written.keys()


@pytest.mark.parametrize(
    ("section", "written", "words"),
    [
        (Circuit, {"failures": 21}, "never holds 21 failures"),
        (Circuit, {"failures": 5, "window": 4}, "never holds 5 failures"),
        (Circuit, {"pause": "31s"}, "shorter than the first"),
        (Circuit, {"pause": "50ms"}, "from 100ms to 10m"),
        (Batch, {"endpoint": "https://as.example.com/batch"}, "write delay: 5ms"),
        (Batch, {"delay": "2s"}, "from 0s to 1s"),
        (Batch, {"size": 1}, "from 2 to 1000"),
        (Tokens, {"min_length": 40, "max_length": 39}, "no token fits"),
        (Tokens, {"prefix": "ory_at_", "max_length": 6}, "no token fits"),
        (Tokens, {"prefix": "a b"}, "a token begins with"),
        (InactiveLimit, {"per_minute": 0}, "from 1 to"),
        (AuthorizationServer, {**SERVER, "batch": {"delay": "5ms", "endpoint": PLAIN}}, "use https here"),
    ],
)
def test_what_cannot_be_meant_is_refused_with_a_sentence(
    section: type[BaseModel], written: dict[str, Any], words: str
) -> None:
    """Each says what to write."""
    with pytest.raises(ValidationError) as refused:
        section.model_validate(written)
    (error,) = refused.value.errors()
    assert words in str(error["ctx"]["error"])


def test_a_default_window_that_is_too_small_is_a_fault_of_the_failures_that_were_written() -> None:
    """Whoever writes many failures must write the window too."""
    assert Circuit.model_validate({"failures": 30, "window": 60}).window == 60
