"""A file that is laid out means the same, has the same comments, and does not change a second time."""

from pathlib import Path

import pytest
from click.testing import CliRunner
from hypothesis import given, strategies as st

from extauthz.cli.policy import policy
from extauthz.config.yaml_source import read_yaml
from extauthz.policy_tools.fmt import UnformattableError, format_policy

ROOT = Path(__file__).parents[3]

UNTIDY = """\
# head


version:   1   # one
defaults:
    audience:  "https://api.example.com"
routes:
- name: a       # first
  path:  '/a/{id}'
  scopes: [ x,y,
            z ]

  # about b


- {name: b,   path: /b, allow: anonymous}   # short
- name: c
  path: /c
  scopes:
      any_of:
      -   [x]
      - [ # why
         y]
  # the end of the routes
"""

TIDY = """\
# head

version: 1     # one
defaults:
  audience: "https://api.example.com"
routes:
  - name: a     # first
    path: '/a/{id}'
    scopes: [x, y, z]

  # about b

  - {name: b, path: /b, allow: anonymous}   # short
  - name: c
    path: /c
    scopes:
      any_of:
        - [x]
        # why

        -
          - y
  # the end of the routes
"""


def test_an_untidy_file_becomes_tidy() -> None:
    """Spaces, indentation and empty lines; nothing else."""
    assert format_policy(UNTIDY) == TIDY


@pytest.mark.parametrize(
    "file", [*ROOT.glob("examples/*.yaml"), *ROOT.glob("tests/vectors/policies/*.yaml")], ids=lambda file: file.name
)
def test_files_keep_their_meaning_and_are_stable(file: Path) -> None:
    """Twice is the same as once."""
    text = file.read_text()
    try:
        once = format_policy(text)
    except UnformattableError as error:
        assert "of several lines" in str(error)  # noqa: PT017 - the one thing that is refused here
        return
    assert format_policy(once) == once
    assert read_yaml(once.encode(), "").root.data == read_yaml(text.encode(), "").root.data  # type: ignore[union-attr] # both are YAML


def test_what_is_too_long_for_a_line_becomes_a_block() -> None:
    """And stays one."""
    long = f"scopes: [{', '.join(f'scope-{number}' for number in range(20))}]\n"
    found = format_policy(long)
    assert found.splitlines()[:2] == ["scopes:", "  - scope-0"]
    assert format_policy(found) == found


@pytest.mark.parametrize("text", ["a: |\n  b\n  c\n", "a: [1\n", "a: 1\na: 2\n", ""])
def test_what_cannot_be_laid_out_stays(text: str) -> None:
    """With the reason."""
    with pytest.raises(UnformattableError):
        format_policy(text)


_WORDS = st.sampled_from(["a", "b c", "'#'", '"x # y"', "1", "true", "&x a", "-1", "a#b"])
_COMMENTS = st.sampled_from(["", "  # why", " #", "   # a: b"])


@given(st.lists(st.tuples(_WORDS, _COMMENTS, st.integers(0, 3), st.booleans()), min_size=1, max_size=8))
def test_comments_and_values_survive(entries: list[tuple[str, str, int, bool]]) -> None:
    """Wherever they stand."""
    text = ""
    for number, (word, comment, gap, in_list) in enumerate(entries):
        value = f"\n   - {word}{comment}\n   -  [{word}, {{k:  {word}}}]" if in_list else f"  {word}{comment}"
        text += "\n" * gap + f"k{number}:{value}\n"
    once = format_policy(text)
    assert format_policy(once) == once
    assert once.count("# why") == text.count("# why")


def test_check_changes_nothing(tmp_path: Path) -> None:
    """And says so by its exit status."""
    file = tmp_path / "policy.yaml"
    file.write_text(UNTIDY)
    result = CliRunner().invoke(policy, ("fmt", "--check", str(file)))
    assert (result.exit_code, file.read_text()) == (1, UNTIDY)
    assert CliRunner().invoke(policy, ("fmt", str(file))).exit_code == 0
    assert CliRunner().invoke(policy, ("fmt", "--check", str(file))).exit_code == 0


def test_the_shipped_policy_is_laid_out_like_this() -> None:
    """It is what people copy."""
    text = (ROOT / "examples/policy.yaml").read_text()
    assert format_policy(text) == text
