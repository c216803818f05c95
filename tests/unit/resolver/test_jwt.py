"""A JWT is an access token of this issuer for us, beyond doubt, or it is refused."""

import hmac
import json
from typing import Any

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from hypothesis import given, strategies as st

from extauthz.core.decision import Reason
from extauthz.core.introspection import Active, Inactive
from extauthz.core.leniency import Leniency
from extauthz.core.token import Token
from extauthz.jwk_set import KeySet, read_jwks
from extauthz.resolver.jwt import ALGORITHMS, JwtJudge, JwtSettings, Signed, UnknownKey, Verified
from extauthz.signatures import PrivateKey
from support.tokens import AUDIENCE, CLAIMS, ISSUER, NOW, b64, dump, jwk, jwks, minted

P256 = ec.generate_private_key(ec.SECP256R1())
OTHER = ec.generate_private_key(ec.SECP256R1())
RSA = rsa.generate_private_key(65537, 2048)
ED = ed25519.Ed25519PrivateKey.generate()
KEYS = read_jwks(jwks(jwk(P256), jwk(RSA, kid="rsa"), jwk(ED, kid="ed"), jwk(OTHER, kid="other")))

ID_TOKEN: dict[str, Any] = {"scope": ..., "client_id": ..., "azp": "app", "nonce": "n", "at_hash": "h"}
"""What makes an access token of ours an ID token."""

Verdict = Verified | Inactive | UnknownKey | None


def judge(token: str, keys: KeySet = KEYS, now: float = NOW, **changed: Any) -> Verdict:  # noqa: ANN401 - settings differ in type
    """What becomes of a token."""
    one = JwtJudge(JwtSettings(**({"issuer": ISSUER} | changed)))
    signed = one.inspect(Token(token), now)
    return one.verify(signed, keys) if isinstance(signed, Signed) else signed


def refused(verdict: Verdict, reason: Reason = Reason.INACTIVE) -> bool:
    return verdict == Inactive(reason=reason)


def accepted(verdict: Verdict) -> Active:
    assert isinstance(verdict, Verified)
    return verdict.state


class TestGood:
    """What passes, and what it says."""

    def test_its_claims_are_those_of_an_introspection_answer(self) -> None:
        """Also the claims without a name of their own."""
        verdict = judge(minted(P256, claims={"tenant": "t1", "aud": [AUDIENCE, "x"], "nbf": NOW}))
        assert isinstance(verdict, Verified)
        assert verdict.issued_at == NOW
        assert verdict.state == Active(
            scopes=frozenset({"orders:read"}),
            scope="orders:read",
            sub="user-1",
            client_id="app",
            iss=ISSUER,
            jti="a1",
            aud=(AUDIENCE, "x"),
            exp=NOW + 300,
            nbf=NOW,
            claims={"tenant": "t1"},
        )

    @pytest.mark.parametrize(
        ("key", "algorithm", "kid"),
        [
            (P256, "ES256", "k1"),
            (RSA, "RS256", "rsa"),
            (RSA, "PS256", "rsa"),
            (ED, "EdDSA", "ed"),
            (ED, "Ed25519", "ed"),
        ],
    )
    def test_every_algorithm_of_the_list(self, key: PrivateKey, algorithm: str, kid: str) -> None:
        """With a key of its kind."""
        assert algorithm in ALGORITHMS
        assert accepted(judge(minted(key, algorithm, header={"kid": kid}))).sub == "user-1"

    @pytest.mark.shows("S71")
    @pytest.mark.parametrize("kind", ["at+jwt", "AT+JWT", "application/at+jwt", "Application/AT+jwt"])
    def test_the_type_is_a_media_type(self, kind: str) -> None:
        """Case does not matter, and `application/` is understood."""
        assert accepted(judge(minted(P256, header={"typ": kind}))).sub == "user-1"

    def test_a_token_without_kid_may_be_of_any_key_that_fits(self) -> None:
        """Some servers have one key and name none."""
        assert accepted(judge(minted(OTHER, header={"kid": ...}))).sub == "user-1"
        unnamed = read_jwks(jwks(jwk(P256, kid=...)))
        assert accepted(judge(minted(P256), unnamed)).sub == "user-1"

    @pytest.mark.parametrize(
        ("claims", "names", "scopes"),
        [
            ({"scope": "a b"}, ("scope",), {"a", "b"}),
            ({"scope": ...}, ("scope",), set()),
            ({"scope": ["a", "b"]}, ("scope",), set()),
            ({"scope": ..., "scp": "a b"}, ("scope",), set()),
            ({"scope": ..., "scp": "a b"}, ("scope", "scp"), {"a", "b"}),
            ({"scope": ..., "scp": ["a", "b"]}, ("scope", "scp"), {"a", "b"}),
            ({"scope": ..., "scp": ["a b", 7]}, ("scp",), set()),
            ({"scope": "a", "scp": "b"}, ("scope", "scp"), {"a"}),
        ],
    )
    @pytest.mark.shows("S46")
    def test_scopes_are_where_the_operator_says(
        self, claims: dict[str, Any], names: tuple[str, ...], scopes: set[str]
    ) -> None:
        """`scp`, and lists, only by option."""
        assert accepted(judge(minted(P256, claims=claims), scope_claims=names)).scopes == scopes

    def test_a_list_in_scope_is_read_where_that_is_allowed(self) -> None:
        """By the same option as in introspection answers."""
        token = minted(P256, claims={"scope": ["a", "b"]})
        assert accepted(judge(token, leniency=Leniency(scope_array=True))).scopes == {"a", "b"}

    @pytest.mark.parametrize("token", ["mF_9.B5f-4.1JqM", "opaque", minted(P256) + ".x.y"])
    def test_what_is_no_jwt_is_not_judged(self, token: str) -> None:
        """An encrypted one is none either."""
        assert judge(token) is None


@pytest.mark.shows("S69")
class TestAlgorithms:
    """Nobody but the issuer can have signed it."""

    NONE = (
        "eyJhbGciOiJub25lIiwidHlwIjoiYXQrand0In0.eyJpc3MiOiJodHRwczovL2FzLmV4YW1wbGUuY29tIiwic3ViIjoidXNlci0xIiwi"
        "YXVkIjoiaHR0cHM6Ly9hcGkuZXhhbXBsZS5jb20iLCJleHAiOjE3MDAwMDAzMDAsImlhdCI6MTcwMDAwMDAwMCwianRpIjoiYTEiLCJj"
        "bGllbnRfaWQiOiJhcHAiLCJzY29wZSI6Im9yZGVyczpyZWFkIn0."
    )

    def test_none_is_no_algorithm(self) -> None:
        """In no spelling, and not where it is missing."""
        assert refused(judge(self.NONE))
        for algorithm in ("none", "None", "nOnE", ..., None, 7, ["ES256"], "ES256 ", "es256"):
            assert refused(judge(minted(P256, header={"alg": algorithm})))

    def test_a_public_key_is_no_shared_secret(self) -> None:
        """The oldest trick: HS256 with the key that everybody knows."""
        head, _, _ = minted(P256, header={"alg": "HS256"}).rpartition(".")
        for encoding in (Encoding.PEM, Encoding.DER):
            secret = P256.public_key().public_bytes(encoding, PublicFormat.SubjectPublicKeyInfo)
            assert refused(judge(f"{head}.{b64(hmac.digest(secret, head.encode(), 'sha256'))}"))

    def test_a_key_is_for_the_algorithm_that_it_names(self) -> None:
        """RS256 by a key that says PS256."""
        keys = read_jwks(jwks(jwk(RSA, alg="PS256")))
        assert isinstance(judge(minted(RSA, "RS256"), keys), UnknownKey)
        assert accepted(judge(minted(RSA, "PS256"), keys)).sub == "user-1"

    def test_only_algorithms_of_the_list_are_accepted(self) -> None:
        """Each issuer has its own."""
        assert refused(judge(minted(RSA, "RS256", header={"kid": "rsa"}), algorithms=("ES256",)))
        assert refused(judge(minted(RSA, "RS512", header={"kid": "rsa"})))
        assert accepted(judge(minted(RSA, "RS512", header={"kid": "rsa"}), algorithms=("RS512",))).sub == "user-1"

    @pytest.mark.parametrize("name", ["jwk", "jku", "x5u", "x5c"])
    def test_a_key_that_the_token_brings_along_is_not_looked_at(self, name: str) -> None:
        """Whoever forges a token can also bring a key."""
        stranger = ec.generate_private_key(ec.SECP256R1())
        brought: dict[str, object] = {
            "jwk": jwk(stranger),
            "jku": "https://evil.example.com",
            "x5c": ["x"],
            "x5u": "https://evil.example.com",
        }
        assert refused(judge(minted(stranger, header={name: brought[name]})))
        assert accepted(judge(minted(P256, header={name: brought[name]}))).sub == "user-1"

    def test_a_signature_is_raw_and_real(self) -> None:
        """No DER, no zeros, nothing cut or added, nothing of another token or key."""
        token = minted(P256)
        head, _, _ = token.rpartition(".")
        der = P256.sign(head.encode(), ec.ECDSA(hashes.SHA256()))
        other = minted(P256, claims={"sub": "user-2"}).rpartition(".")[2]
        for signature in (
            b64(der),
            b64(b"\0" * 64),
            b64(b"\0" * 63),
            "",
            b64(b"\xff" * 64),
            b64(b"\0" * 10_000),
            other,
        ):
            assert refused(judge(f"{head}.{signature}"))
        assert refused(judge(minted(OTHER)))

    def test_a_kid_that_nobody_has_is_an_unknown_key(self) -> None:
        """It is compared and nothing else; a very long one is not even that."""
        for kid in ("../../etc/passwd", "' OR 1=1", "k1 ", "", "K1"):
            assert isinstance(judge(minted(P256, header={"kid": kid})), UnknownKey)
        for odd in ("x" * 10_240, 7, ["k1"], {"k": 1}):
            assert refused(judge(minted(P256, header={"kid": odd})))


@pytest.mark.shows("S70")
class TestClaims:
    """Who says it, to whom, and until when."""

    @pytest.mark.parametrize(
        "issuer", [f"{ISSUER}/", ISSUER.upper(), "https://evil.example.com", ..., None, 7, [ISSUER]]
    )
    def test_the_issuer_is_compared_character_for_character(self, issuer: object) -> None:
        """Before any key is looked for, so that nobody can make us look."""
        token = minted(P256, header={"kid": "unknown"}, claims={"iss": issuer})
        assert refused(judge(token), Reason.WRONG_ISSUER)

    def test_a_key_counts_for_its_own_issuer_alone(self) -> None:
        """A server that signs in the name of another one."""
        keys_of_b = read_jwks(jwks(jwk(OTHER)))
        assert refused(judge(minted(P256, claims={"iss": "https://b.example.com"}), keys_of_b), Reason.WRONG_ISSUER)
        assert refused(
            judge(minted(P256, claims={"iss": "https://b.example.com"}), keys_of_b, issuer="https://b.example.com")
        )

    @pytest.mark.parametrize("audience", [..., None, [], "", 7, {}, [7], [AUDIENCE, 7], [""]])
    def test_an_audience_must_be_there(self, audience: object) -> None:
        """Whichever it is, then the route compares it."""
        assert refused(judge(minted(P256, claims={"aud": audience})), Reason.WRONG_AUDIENCE)

    @pytest.mark.parametrize("audience", [AUDIENCE, [AUDIENCE], ["x", AUDIENCE]])
    def test_one_of_our_names_is_enough(self, audience: object) -> None:
        """Where the server's section names us."""
        token = minted(P256, claims={"aud": audience})
        assert accepted(judge(token, audience=("https://other", AUDIENCE))).sub == "user-1"
        assert refused(judge(token, audience=(f"{AUDIENCE}/",)), Reason.WRONG_AUDIENCE)

    @pytest.mark.parametrize(
        ("claims", "reason"),
        [
            ({"exp": NOW - 60}, Reason.EXPIRED),
            ({"exp": NOW - 61}, Reason.EXPIRED),
            ({"exp": 0}, Reason.EXPIRED),
            ({"exp": ...}, Reason.INACTIVE),
            ({"exp": None}, Reason.INACTIVE),
            ({"exp": "1700000300"}, Reason.INACTIVE),
            ({"exp": True}, Reason.INACTIVE),
            ({"exp": 1e300}, Reason.INACTIVE),
            ({"exp": -1}, Reason.INACTIVE),
            ({"nbf": NOW + 61}, Reason.NOT_YET_VALID),
            ({"nbf": "now"}, Reason.INACTIVE),
        ],
    )
    def test_time_must_be_told_and_be_now(self, claims: dict[str, Any], reason: Reason) -> None:
        """Within the leeway."""
        assert refused(judge(minted(P256, claims=claims)), reason)

    @pytest.mark.parametrize("claims", [{"exp": NOW - 59}, {"exp": NOW + 0.5}, {"nbf": NOW + 60}])
    def test_clocks_may_differ_by_the_leeway(self, claims: dict[str, Any]) -> None:
        """And times may have fractions."""
        assert accepted(judge(minted(P256, claims=claims))).sub == "user-1"

    @pytest.mark.parametrize("claims", [{"sub": 7}, {"sub": "a\r\nx: y"}, {"client_id": []}, {"jti": {}}])
    def test_claims_are_read_as_strictly_as_answers(self, claims: dict[str, Any]) -> None:
        """A signature does not make a control character good."""
        assert refused(judge(minted(P256, claims=claims)))

    def test_a_bound_token_is_no_bearer_token(self) -> None:
        """It needs a proof that we do not ask for."""
        token = minted(P256, claims={"cnf": {"jkt": "x"}})
        assert refused(judge(token), Reason.SENDER_CONSTRAINED)


@pytest.mark.shows("S71")
class TestKind:
    """Other JWTs of the same issuer are signed by the same keys."""

    @pytest.mark.parametrize(
        "kind",
        ["JWT", "", "jwt", "id+jwt", "logout+jwt", "secevent+jwt", "token-introspection+jwt", "dpop+jwt", 7, ...],
    )
    def test_by_default_it_must_say_that_it_is_an_access_token(self, kind: object) -> None:
        """RFC 9068 §4."""
        assert refused(judge(minted(P256, header={"typ": kind})), Reason.NOT_AN_ACCESS_TOKEN)

    @pytest.mark.parametrize("kind", ["JWT", "jwt", "application/jwt", ...])
    @pytest.mark.parametrize(
        "claims",
        [
            {},
            {"scope": ...},
            {"client_id": ..., "scope": ..., "scp": "a"},
            {"client_id": ..., "scope": ..., "typ": "Bearer", "azp": "app", "nonce": "n"},
        ],
    )
    def test_a_plain_jwt_passes_by_option_if_it_looks_like_one(self, kind: object, claims: dict[str, Any]) -> None:
        """Many servers do not say what it is."""
        token = minted(P256, header={"typ": kind}, claims=claims)
        assert accepted(judge(token, types=("at+jwt", "jwt"))).sub == "user-1"

    @pytest.mark.parametrize("kind", ["JWT", ...])
    @pytest.mark.parametrize(
        "claims",
        [
            ID_TOKEN,
            {**ID_TOKEN, "scope": "openid"},
            {"scope": ..., "client_id": ...},
            {"nonce": "n"},
            {"typ": "ID", "client_id": "app"},
            {"typ": "Refresh"},
            {"token_use": "id_token"},
            {"events": {}},
            {"events": {}, "typ": "Bearer"},
            {"token_introspection": {"active": True}},
            {"htm": "GET", "htu": "https://api.example.com"},
        ],
    )
    def test_an_id_token_never_passes(self, kind: object, claims: dict[str, Any]) -> None:
        """Nor a logout token, a security event, an introspection answer or a DPoP proof."""
        token = minted(P256, header={"typ": kind}, claims=claims)
        assert refused(judge(token, types=("at+jwt", "jwt")), Reason.NOT_AN_ACCESS_TOKEN)

    def test_an_access_token_of_openid_may_have_a_nonce(self) -> None:
        """Where it says that it is one."""
        assert accepted(judge(minted(P256, claims={"nonce": "n"}))).sub == "user-1"


@pytest.mark.shows("S72")
class TestShape:
    """Two readers must not see two tokens."""

    @pytest.mark.parametrize(
        "header", [{"crit": ["b64"], "b64": False}, {"crit": ["exp"]}, {"crit": []}, {"b64": False}, {"b64": True}]
    )
    def test_nothing_critical_is_understood(self, header: dict[str, Any]) -> None:
        """RFC 7515 §4.1.11: what must be understood and is not, is refused."""
        assert refused(judge(minted(P256, header=header)))

    @pytest.mark.parametrize(
        "payload",
        [
            dump(CLAIMS)[:-1] + b', "sub": "admin"}',
            dump(CLAIMS)[:-1] + b', "x": {"a": 1, "a": 2}}',
            dump(CLAIMS)[:-1] + b', "x": NaN}',
            dump(CLAIMS)[:-1] + b', "x": 1e999}',
            dump(CLAIMS) + b" x",
            b"\xef\xbb\xbf" + dump(CLAIMS),
            b"[]",
            b"",
        ],
    )
    def test_a_payload_with_two_meanings_is_refused(self, payload: bytes) -> None:
        """Although the signature is good."""
        assert refused(judge(minted(P256, claims=payload)))

    def test_the_text_of_a_token_has_one_form(self) -> None:
        """Padding, another alphabet, bits to spare."""
        token = minted(P256)
        head, dot, signature = token.rpartition(".")
        for text in (
            token + "=",
            token + "==",
            head + "=" + dot + signature,
            token.replace("-", "+").replace("_", "/") + "+",
        ):
            assert refused(judge(text))


@given(position=st.integers(0, 10_000), letter=st.sampled_from("Aa0-_."))
def test_no_letter_of_a_token_can_be_changed(position: int, letter: str) -> None:
    """Whatever is altered, it does not pass."""
    token = minted(P256)
    place = position % len(token)
    changed = token[:place] + letter + token[place + 1 :]
    if changed != token:
        assert not isinstance(judge(changed), Verified)


@given(
    claims=st.dictionaries(
        st.sampled_from([*CLAIMS, "typ", "cnf"]),
        st.none() | st.booleans() | st.integers() | st.text() | st.lists(st.text()),
    )
)
def test_whatever_an_issuer_signs_it_is_judged(claims: dict[str, Any]) -> None:
    """No claims make it fail otherwise."""
    verdict = judge(minted(P256, claims=json.loads(json.dumps(claims))))
    assert isinstance(verdict, Verified | Inactive)
