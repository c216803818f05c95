"""What must hold for every input, said once and tried on thousands."""

import asyncio
import json
from dataclasses import replace
from math import isfinite
from random import Random

import pytest
from hypothesis import assume, example, given, settings, strategies as st

from extauthz.authorizer import Authorizer
from extauthz.core.bearer import MAX_TOKEN_LENGTH, extract
from extauthz.core.challenge import challenge, check_realm
from extauthz.core.decision import OUTCOMES, Allow, Deny, Reason
from extauthz.core.identity import MAX_IDENTITY_BYTES
from extauthz.core.introspection import MAX_RETRY_AFTER_SECONDS, Active, Answer, Inactive, Unavailable, read_answer
from extauthz.core.leniency import Leniency
from extauthz.core.paths import canonical_host, canonical_path
from extauthz.core.policy import Rule, decide
from extauthz.core.routes import RouteTable
from extauthz.core.scopes import lenient_scope, parse_scope
from extauthz.core.token import Token
from extauthz.testing import RecordingObserver, StubResolver, TickingClock, active, policy, request, rule
from property import strategies as our
from property.references import best_rule, read_as_nginx, read_as_rfc3986, read_as_whatwg, read_challenges

law = settings(deadline=None, max_examples=200)


class TestPaths:
    """A path that is accepted has one meaning; one that has several is refused."""

    @pytest.mark.shows("N40")
    @law
    @given(our.targets)
    def test_the_canonical_spelling_is_its_own(self, target: str) -> None:
        """`canonical_path` answers for any text at all, and a second time gives the same."""
        canonical = canonical_path(target)
        if canonical is not None:
            assert canonical_path(canonical) == canonical

    @law
    @given(our.targets)
    def test_the_canonical_spelling_has_no_structure_that_readers_dispute(self, target: str) -> None:
        """No empty or dot segment, no second way to write a slash, no octet that is not plainly printable."""
        canonical = canonical_path(target)
        assume(canonical is not None)
        assert canonical is not None
        assert canonical.startswith("/")
        assert not {"", ".", ".."} & set(canonical.split("/")[1:-1])
        assert canonical.rpartition("/")[2] not in {".", ".."}
        assert all("!" <= character <= "~" for character in canonical)
        assert not set(canonical) & set('\\;#?"<>^`{|}')
        escapes = {canonical[at : at + 3] for at, character in enumerate(canonical) if character == "%"}
        assert not escapes & {"%2F", "%5C", "%00", "%0A", "%25", "%2E", "%7F"}
        assert escapes == {escape.upper() for escape in escapes}

    @pytest.mark.shows("S57")
    @law
    @given(our.harmless_paths | our.hostile_paths)
    def test_all_readers_see_the_same_segments(self, path: str) -> None:
        """RFC 3986, a browser and NGINX agree on what was accepted, so they pick the same rule from any table."""
        canonical = canonical_path(path)
        assume(canonical is not None)
        assert canonical is not None
        seen = read_as_nginx(canonical)
        assert read_as_rfc3986(path) == read_as_whatwg(path) == read_as_nginx(path) == seen

    @pytest.mark.shows("S56", "N40")
    @law
    @given(our.harmless_paths | our.hostile_paths)
    def test_a_rule_written_like_a_path_matches_it_in_every_spelling(self, path: str) -> None:
        """Rules are brought to the same spelling as requests."""
        canonical = canonical_path(path)
        assume(canonical is not None)
        assert canonical is not None
        for spelling in (path, canonical):
            written = rule(path=spelling.replace("*", "%2A"))
            assert policy(written).routes.match("GET", "", canonical) is written

    @pytest.mark.shows("S56", "E46", "N36")
    @law
    @given(our.targets, our.any_text)
    def test_the_query_plays_no_part(self, target: str, query: str) -> None:
        """CVE-2025-54576: whatever stands behind the first `?`, the path is the same."""
        assert canonical_path(target.partition("?")[0] + "?" + query) == canonical_path(target)

    @law
    @given(st.text("aB-._:[]1 ,@", max_size=12) | our.any_text)
    def test_the_canonical_host_is_its_own(self, host: str) -> None:
        """For any text: no host, or one in lower case that stays what it is."""
        canonical = canonical_host(host)
        if canonical is not None:
            assert canonical_host(canonical) == canonical == canonical.lower()


class TestRoutes:
    """The most specific rule decides; the order in the file does not."""

    @pytest.mark.shows("S57")
    @law
    @given(our.rule_sets(), our.methods, our.hosts, our.small_paths)
    def test_the_table_finds_what_a_search_through_all_rules_finds(
        self, rules: list[Rule], method: str, host: str, path: str
    ) -> None:
        """The tree is only a faster way to the same rule, for every way to read the path."""
        table, conflicts = RouteTable.build(rules)
        canonical = canonical_path(path)
        assert (conflicts, canonical is None) == ([], False)
        assert canonical is not None
        found = table.match(method, host, canonical)
        for read in (read_as_rfc3986, read_as_whatwg, read_as_nginx):
            assert found is best_rule(rules, method, host, read(path))

    @law
    @given(our.rule_sets(), st.randoms(use_true_random=False), our.methods, our.hosts, our.small_paths)
    def test_the_order_of_the_rules_changes_nothing(
        self, rules: list[Rule], random: Random, method: str, host: str, path: str
    ) -> None:
        """A policy file can be sorted at will."""
        shuffled = random.sample(rules, len(rules))
        canonical = canonical_path(path)
        assert canonical is not None
        one, other = RouteTable.build(rules)[0], RouteTable.build(shuffled)[0]
        assert one.match(method, host, canonical) is other.match(method, host, canonical)


class TestCredentials:
    """A token is what RFC 6750 calls one, whole and alone."""

    @pytest.mark.shows("S1", "S10")
    @law
    @given(our.authorizations)
    def test_a_token_has_only_the_characters_of_a_token(self, values: tuple[str, ...]) -> None:
        """No comma, space, quote or control can hide in it; and it was all that was sent."""
        found = extract(values)
        if isinstance(found, Reason):
            assert OUTCOMES[found].status in {400, 401}
            return
        text = found.reveal()
        assert 0 < len(text) <= MAX_TOKEN_LENGTH
        assert text.isascii()
        assert all(character.isalnum() or character in "-._~+/=" for character in text)
        [value] = values
        value = value.strip(" \t")
        assert (value[:6].lower(), set(value[6 : -len(text)]), value[-len(text) :]) == ("bearer", {" "}, text)

    @pytest.mark.shows("S1", "E24")
    @law
    @given(st.from_regex(r"[A-Za-z0-9\-._~+/]{1,50}={0,3}", fullmatch=True), st.integers(1, 5))
    def test_every_token_of_the_grammar_is_found(self, text: str, spaces: int) -> None:
        """And comes out unchanged."""
        assert extract(("Bearer" + " " * spaces + text,)) == Token(text)


class TestChallenges:
    """A challenge says one thing, in characters that every header may carry."""

    @pytest.mark.shows("S4", "S5")
    @law
    @given(our.reasons, our.realms, st.lists(our.scope_words, max_size=5, unique=True).map(tuple))
    def test_a_challenge_reads_back_as_what_was_meant(self, reason: Reason, realm: str, scope: tuple[str, ...]) -> None:
        """One scheme, each parameter once, the realm and the scope unharmed."""
        value = challenge(reason, check_realm(realm), parse_scope(" ".join(scope)) if scope else ())
        assert all(" " <= character <= "~" for character in value)
        challenges = read_challenges(value)
        assert len(challenges) == int(OUTCOMES[reason].challenged)
        for scheme, parameters in challenges:
            names = [name for name, _ in parameters]
            by_name = dict(parameters)
            assert (scheme, len(names)) == ("bearer", len(set(names)))
            assert by_name["realm"] == realm
            assert by_name.get("error") == (OUTCOMES[reason].error or None)
            assert ("error" in by_name) == ("error_description" in by_name)
            assert by_name.get("scope") == (" ".join(scope) or None if reason is Reason.INSUFFICIENT_SCOPE else None)

    @law
    @given(our.any_text)
    def test_whatever_the_server_calls_a_scope_the_words_are_legal(self, text: str) -> None:
        """What the lenient reader lets through, the strict one takes."""
        words = lenient_scope(text)
        assert not words or parse_scope(" ".join(words)) == words


class TestAnswers:
    """A server can say what it likes: we never fall over it, and never hear "active" where it was not said."""

    @pytest.mark.shows("S17", "S26")
    @law
    @given(our.statuses, our.content_types, our.bodies, our.any_text, st.booleans())
    @example(200, "application/json; charset*=utf-8''x; charset*0=y", b"{}", "", True)
    @example(200, "application/json", b"[" * 200_000, "", True)
    def test_any_answer_leads_to_a_state(
        self, status: int, content_type: str, body: bytes, retry_after: str, answers_others: bool
    ) -> None:
        """No exception; a bad token is a 401 and trouble a 503, and neither is taken for the other."""
        answer = Answer(status=status, content_type=content_type, body=body, retry_after=retry_after)
        match read_answer(answer, issuer="https://as.example.com", answers_others=answers_others):
            case Active():
                assert status == 200
            case Inactive(reason=reason):
                assert status in {200, 400}
                assert OUTCOMES[reason].status == 401
            case Unavailable(reason=reason, retry_after=seconds):
                assert OUTCOMES[reason].status == 503
                assert 0 <= seconds <= MAX_RETRY_AFTER_SECONDS

    @pytest.mark.shows("S15", "N44")
    @law
    @given(our.bodies)
    @example(b'{"active":1}')
    @example(b'{"active":"true"}')
    def test_active_is_heard_only_where_it_is_literally_true(self, body: bytes) -> None:
        """And said once; the times are numbers, and the texts are fit for a log."""
        state = read_answer(
            Answer(status=200, content_type="application/json", body=body), issuer=None, answers_others=True
        )
        if isinstance(state, Active):
            pairs = json.loads(body, object_pairs_hook=list)
            [said] = [value for name, value in pairs if name == "active"]
            assert said is True
            assert all(isfinite(time) for time in (state.exp, state.nbf) if time is not None)
            texts = [text for text in (state.sub, state.client_id, state.iss) if text is not None]
            assert not any(character < " " or "\ud800" <= character <= "\udfff" for character in "".join(texts))
            assert state.scopes == set(state.scope.split())

    @law
    @given(
        our.bodies,
        st.builds(Leniency, scope_array=st.booleans(), string_active=st.booleans(), string_exp=st.booleans()),
    )
    @example(b'{"active":true,"scope":["a"],"exp":5}', Leniency(scope_array=True, string_active=True, string_exp=True))
    @example(
        b'{"active":false,"scope":["a"],"exp":"5"}', Leniency(scope_array=True, string_active=True, string_exp=True)
    )
    def test_leniency_contradicts_nothing(self, body: bytes, leniency: Leniency) -> None:
        """What is plain without it stays as it is, but for scopes that were in a list."""
        answer = Answer(status=200, content_type="application/json", body=body)
        strict = read_answer(answer, issuer=None, answers_others=True)
        lenient = read_answer(answer, issuer=None, answers_others=True, leniency=leniency)
        if isinstance(strict, Active):
            assert isinstance(lenient, Active)
            assert strict.scopes <= lenient.scopes
            assert replace(lenient, scope=strict.scope, scopes=strict.scopes) == strict
        elif isinstance(strict, Inactive):
            assert lenient == strict


class TestDecisions:
    """A rule and a token: more rights never take a request away, and a dead token never passes."""

    @pytest.mark.shows("S18", "S21")
    @law
    @given(our.rules, our.active_tokens() | our.token_states, our.leeways)
    def test_only_a_live_token_passes(self, one: Rule, state: Active | Inactive | Unavailable, later: float) -> None:
        """No inactive or unknown token, and no token at or beyond `exp` and the leeway, or before `nbf`."""
        now = our.NOW + later
        decision = decide(one, state, now)
        if isinstance(decision, Allow):
            assert isinstance(state, Active)
            assert state.exp is None or now < state.exp + one.leeway
            assert state.nbf is None or now >= state.nbf - one.leeway
            assert not one.audience or one.audience in state.aud
            assert any(needed <= state.scopes for needed in one.alternatives)

    @law
    @given(our.rules, st.lists(our.few_words, unique=True), st.lists(our.few_words, unique=True))
    def test_more_scopes_never_turn_an_allow_into_a_denial(self, one: Rule, held: list[str], more: list[str]) -> None:
        """Scopes only ever add."""
        fewer = decide(replace(one, audience=""), active(" ".join(held)), our.NOW)
        greater = decide(replace(one, audience=""), active(" ".join([*held, *more])), our.NOW)
        assert isinstance(greater, Allow) or isinstance(fewer, Deny)

    @pytest.mark.shows("S50", "N46")
    @law
    @given(our.rules, our.active_tokens(), st.booleans())
    def test_every_allow_speaks_of_every_identity_header_once(self, one: Rule, token: Active, public: bool) -> None:
        """Set or removed: a client's own copy survives neither way, and nothing is set that was not configured."""
        lenient = replace(one, alternatives=(frozenset(),), audience="")
        decision = one.public if public else decide(lenient, replace(token, exp=None, nbf=None), our.NOW)
        if isinstance(decision, Allow):
            names = [*(name for name, _ in decision.identity), *decision.absent]
            assert sorted(names) == sorted(one.identity.names)
            assert all(value and value.isascii() and value.isprintable() for _, value in decision.identity)
            assert all(value == value.strip() for _, value in decision.identity)
            assert sum(len(name) + len(value) for name, value in decision.identity) <= MAX_IDENTITY_BYTES

    @law
    @given(our.rules, our.token_states)
    def test_every_denial_is_fit_to_be_sent(self, one: Rule, state: Active | Inactive | Unavailable) -> None:
        """A 401 has its challenge and a 503 its `Retry-After`."""
        decision = decide(one, state, our.NOW)
        if isinstance(decision, Deny) and not isinstance(state, Unavailable):
            assert bool(decision.challenge) == decision.outcome.challenged
        if isinstance(decision, Deny):
            assert (decision.retry_after > 0) >= (decision.outcome.status == 503)


class TestChecks:
    """The authorizer answers whatever it is asked, and reports each answer once."""

    @pytest.mark.shows("S10", "S55")
    @settings(deadline=None, max_examples=100)
    @given(our.targets, st.sampled_from(["GET", "POST", "get", ""]), our.latin1 | our.hosts, our.authorizations)
    def test_any_request_gets_one_decision_and_one_event(
        self, target: str, method: str, host: str, authorization: tuple[str, ...]
    ) -> None:
        """Only the one good token passes, and what is refused early costs no question."""
        observer, resolver, clock = RecordingObserver(), StubResolver({"abc": active()}), TickingClock()
        snapshot = policy(rule(path="/**", methods=("GET",)))
        authorizer = Authorizer(
            policy=snapshot,
            resolver=resolver,
            observer=observer,
            wall=clock,
            monotonic=clock,
            decision_ids=str,
        )
        asked = request(method, target, host=host, authorization=authorization)
        decision = asyncio.run(authorizer.check(asked))
        assert [event.decision for event in observer.checks] == [decision]
        assert observer.checks[0].fault == ""
        assert isinstance(decision, Allow) == (resolver.calls == 1 and extract(authorization) == Token("abc"))
        refused_early = canonical_path(target) is None or method != "GET" or isinstance(extract(authorization), Reason)
        assert not (refused_early and resolver.calls)
