"""Keys of one secret, the hashes and the boxes that are made with them."""

import pytest
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from hypothesis import given, strategies as st

from extauthz.resolver.sealing import Keys

KEYS = Keys.derive(b"a" * 32)
OTHERS = Keys.derive(b"b" * 32)
HEADER = b"1000000000000000"


def box(plain: bytes = b"plain", keys: Keys = KEYS, bound_to: bytes = b"token") -> bytes:
    return keys.seal(plain, bound_to=bound_to, header=HEADER)


def unbox(sealed: bytes, keys: Keys = KEYS, bound_to: bytes = b"token") -> bytes | None:
    return keys.open(sealed, bound_to=bound_to, header_bytes=len(HEADER))


@given(st.binary(max_size=300))
def test_a_box_gives_back_what_was_put_in(plain: bytes) -> None:
    """Whatever that was."""
    assert unbox(box(plain)) == plain


def test_other_keys_do_not_open_it() -> None:
    """Nor do ours for another token."""
    assert unbox(box(), keys=OTHERS) is None
    assert unbox(box(), bound_to=b"other") is None


def test_no_bit_of_it_can_be_changed() -> None:
    """The header can be read, not written."""
    sealed = box()
    for place in range(len(sealed) * 8):
        changed = bytearray(sealed)
        changed[place // 8] ^= 1 << place % 8
        assert unbox(bytes(changed)) is None


def test_nothing_shorter_or_longer_opens() -> None:
    """Not even nothing."""
    sealed = box()
    for length in range(len(sealed)):
        assert unbox(sealed[:length]) is None
    assert unbox(sealed + b"\0") is None


def test_no_two_boxes_are_alike() -> None:
    """Nobody can tell whether they hold the same."""
    assert len({box() for _ in range(100)}) == 100


def test_what_is_in_it_cannot_be_seen() -> None:
    """Apart from the header."""
    sealed = box(b"canary-value")
    assert sealed.startswith(HEADER)
    assert b"canary" not in sealed


@pytest.mark.parametrize("other", [OTHERS.token_hash("t"), KEYS.token_hash("T")])
def test_a_hash_stands_for_one_token_under_one_secret(other: bytes) -> None:
    """And is the same each time."""
    assert KEYS.token_hash("t") == Keys.derive(b"a" * 32).token_hash("t") != other


def test_a_name_is_hashed_with_its_kind() -> None:
    """A client may be called like a user."""
    hashes = {KEYS.name_hash("sub", "x"), KEYS.name_hash("client_id", "x"), OTHERS.name_hash("sub", "x")}
    assert len(hashes) == 3


def test_the_keys_of_a_secret_have_nothing_in_common() -> None:
    """Who knows one knows nothing of the others, nor of the secret; and none can be printed."""
    keys = {KEYS.tokens, KEYS.names, KEYS.values, b"a" * 32}
    assert len(keys) == 4
    assert repr(KEYS) == "Keys()"


def test_the_keys_are_those_of_rfc_5869() -> None:
    """Another implementation derives the same ones."""
    secret = bytes(range(32))
    ours = Keys.derive(secret)
    for purpose, key in {"tokens": ours.tokens, "names": ours.names, "values": ours.values}.items():
        other = HKDF(algorithm=SHA256(), length=32, salt=None, info=f"extauthz 1 {purpose}".encode())
        assert key == other.derive(secret)
