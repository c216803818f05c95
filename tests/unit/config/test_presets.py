"""A preset is a bundle of documented options, and nothing that is written gives way to it."""

import json
import re
from pathlib import Path
from typing import Any, get_args

import pytest
import yaml

from extauthz.config.presets import PRESETS, Preset, with_preset
from extauthz.config.service_schema import AuthorizationServer

FIXTURES = Path(__file__).parents[2] / "fixtures" / "introspection"
PAGE = (Path(__file__).parents[3] / "docs" / "authorization-servers.md").read_text()
FIXTURE_OF = {"gitlab": ["doorkeeper"], "keycloak": ["keycloak-before-26.6.2", "keycloak-since-26.6.2"]}
SERVER: dict[str, Any] = {
    "issuer": "https://as.example.com",
    "introspection_endpoint": "https://as.example.com/introspect",
    "client": {"id": "gateway", "secret": {"env": "CLIENT_SECRET"}},
}


def server(**keys: Any) -> AuthorizationServer:  # noqa: ANN401 - as a file has it
    return AuthorizationServer.model_validate({**SERVER, **keys})


def test_every_name_is_a_preset() -> None:
    """And the other way round."""
    assert set(get_args(Preset)) == set(PRESETS)


@pytest.mark.shows("S100")
@pytest.mark.parametrize("name", PRESETS)
def test_a_preset_is_what_the_file_could_say_itself(name: str) -> None:
    """Key for key: there is no hidden behaviour."""
    written = server(**PRESETS[name])
    assert server(preset=name).model_copy(update={"preset": None}) == written


@pytest.mark.shows("S100")
@pytest.mark.parametrize("name", PRESETS)
def test_a_preset_has_what_the_server_s_answers_want(name: str) -> None:
    """The options without which a refresh token would pass for an access token there."""
    for fixture in FIXTURE_OF.get(name, [name]):
        wants = json.loads((FIXTURES / f"{fixture}.json").read_text())["wants"]
        compat = server(preset=name).compat
        assert compat.require_token_type or "token_type_required" not in wants


def test_what_is_written_wins() -> None:
    """Also inside a section."""
    spring = server(preset="spring", compat={"scope_array": False})
    assert (spring.compat.scope_array, spring.compat.require_token_type) == (False, True)
    assert server(preset="django-oauth-toolkit", token_type_hint="access_token").token_type_hint == "access_token"


@pytest.mark.parametrize("written", [None, "spring", [], {"preset": 7}, {"preset": "nobody"}, {"compat": None}])
def test_what_is_no_server_is_left_to_the_schema(written: object) -> None:
    """It has the sentences for that."""
    assert with_preset(written) == written


def test_a_section_that_is_none_is_left_to_the_schema() -> None:
    """A preset does not hide a mistake."""
    assert with_preset({"preset": "duende", "compat": "x"}) == {"preset": "duende", "compat": "x"}


class TestPage:
    """What docs/authorization-servers.md says is so."""

    def test_its_table_is_the_presets(self) -> None:
        """Key for key."""
        _, *rows = re.findall(r"^\| `([a-z-]+)` \| (.+) \|$", PAGE, re.MULTILINE)
        said = {name: yaml.safe_load("\n".join(re.findall(r"`([^`]+)`", options))) for name, options in rows}
        assert said == json.loads(json.dumps(PRESETS))

    @pytest.mark.parametrize(
        "snippet", re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL), ids=lambda text: text.split("\n")[0]
    )
    def test_its_sections_are_accepted(self, snippet: str) -> None:
        """As they stand there."""
        written = yaml.safe_load(snippet)
        assert AuthorizationServer.model_validate(written).preset == written["preset"]

    def test_it_has_a_section_for_each(self) -> None:
        """None is documented by its name alone."""
        assert set(re.findall(r"^preset: ([a-z-]+)$", PAGE, re.MULTILINE)) == set(PRESETS)
