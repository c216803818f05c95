"""How Envoy compares texts and judges changes of headers, as far as its configuration says."""

import re

from extauthz.doctor.envoy_api import HeaderMutationRules, ListStringMatcher, RegexMatcher, StringMatcher

_ROUTING = (":method", ":scheme", ":authority", "host")
_ENVOY = "x-envoy"


def text_matches(matcher: StringMatcher | None, text: str) -> bool:
    """Whether a matcher takes a text; one that cannot be judged here does not."""
    if matcher is None:
        return False
    if matcher.safe_regex is not None:
        return regex_matches(matcher.safe_regex, text)
    fold = str.lower if matcher.ignore_case else str
    given = fold(text)
    if matcher.exact is not None:
        return given == fold(matcher.exact)
    if matcher.prefix is not None:
        return given.startswith(fold(matcher.prefix))
    if matcher.suffix is not None:
        return given.endswith(fold(matcher.suffix))
    return matcher.contains is not None and fold(matcher.contains) in given


def any_matches(matchers: ListStringMatcher | None, text: str) -> bool:
    """Whether one of the matchers takes a text."""
    return matchers is not None and any(text_matches(each, text) for each in matchers.patterns)


def regex_matches(matcher: RegexMatcher | None, text: str) -> bool:
    """Whether the regular expression takes the whole text: Envoy looks for no part."""
    if matcher is None:
        return False
    try:
        return re.fullmatch(matcher.regex, text) is not None
    except re.error:
        return False


def may_change(rules: HeaderMutationRules, name: str) -> bool:
    """Whether an authorizer may set or remove this header. The order is Envoy's."""
    if regex_matches(rules.disallow_expression, name):
        return False
    if regex_matches(rules.allow_expression, name):
        return True
    if rules.disallow_all or (name in _ROUTING and not rules.allow_all_routing):
        return False
    if name.startswith(":") and rules.disallow_system:
        return False
    return bool(rules.allow_envoy) or not name.startswith(_ENVOY)
