"""The files of vectors are read strictly, and what they say about differences hides nothing."""

import json
import re
import time
from pathlib import Path

import pytest

from cases import ANSWERS, CASES, FOLDER, Vectors, load
from extauthz.config.faults import ConfigError
from support import differences
from support.stub_server import active
from support.vectorfile import PLACES

FILE = """\
about: a test
answers:
  {answer}
cases:
  - name: a case
    {case}
    expected: {{status: 200}}
"""


def written(folder: Path, *, answer: str = "t: {}", case: str = "shows: [S1]", name: str = "a.yaml") -> Path:
    """A folder with such a file in it."""
    (folder / "policies").mkdir(exist_ok=True)
    (folder / "policies" / "main.yaml").touch()
    (folder / name).write_text(FILE.format(answer=answer, case=case))
    return folder


def read(folder: Path, *, answer: str = "t: {}", case: str = "shows: [S1]") -> Vectors:
    return load(written(folder, answer=answer, case=case))


class TestFormat:
    """What is written is what is sent, octet for octet."""

    def test_the_example_in_the_readme_is_read(self, tmp_path: Path) -> None:
        """A stranger begins with it."""
        (example,) = re.findall(r"```yaml\n(.*?)```", (FOLDER / "README.md").read_text(), re.DOTALL)
        (written(tmp_path) / "a.yaml").write_text(example)
        (case,) = load(tmp_path).cases
        assert case.request.target == "/orders/1?x=\xe9"
        assert case.differs["envoy"].seen.status == 400

    def test_a_text_is_put_together_from_its_pieces(self, tmp_path: Path) -> None:
        """So that long ones can be read."""
        (case,) = read(tmp_path, case='request: {target: ["/", {repeat: ab, times: 3}, "\\0"]}').cases
        assert case.request.target == "/ababab\0"

    def test_the_usual_answer_is_that_of_a_live_token(self, tmp_path: Path) -> None:
        """With members of its own, and without some."""
        before = int(time.time())
        said = read(tmp_path, answer="t: {members: {sub: Zoë, x: {y: [1]}}, without: [aud]}").answers["t"]()
        usual = json.loads(active().body)
        del usual["aud"]
        usual |= {"sub": "Zoë", "x": {"y": [1]}}
        assert before + 300 <= json.loads(said.body)["exp"] <= usual.pop("exp")
        assert usual.items() <= json.loads(said.body).items()
        assert "aud" not in json.loads(said.body)

    @pytest.mark.parametrize(
        ("answer", "body"),
        [
            ('{body: "\\x7b"}', b"{"),
            ("{body: {active: false}}", b'{"active": false}'),
            (r'{body: "\xff"}', b"\xff"),
            ('{body: ["<", {repeat: x, times: 2}]}', b"<xx"),
            ("{status: 500}", b""),
            ("{status: 200, body: ''}", b""),
        ],
    )
    def test_a_body_is_octets_or_json(self, tmp_path: Path, answer: str, body: bytes) -> None:
        assert read(tmp_path, answer=f"t: {answer}").answers["t"]().body == body

    def test_a_time_is_counted_from_when_it_is_asked_for(self, tmp_path: Path) -> None:
        """In whatever depth."""
        reply = read(tmp_path, answer="t: {body: {exp: {now: -100}, x: [{nbf: {now: 5}}]}}").answers["t"]
        before = int(time.time())
        said = json.loads(reply().body)
        assert before - 100 <= said["exp"] <= time.time() - 100
        assert said["x"][0]["nbf"] - said["exp"] == 105


class TestFaults:
    """Each mistake is told with its file and its line."""

    @pytest.mark.parametrize(
        ("case", "said"),
        [
            ("shwos: [S1]", "unknown key .* did you mean 'shows'"),
            ("request: {targets: /}", "unknown key"),
            ("request: {headers: [[a]]}", "a header is a list of two"),
            ("request: {headers: [[Authorization, a]]}", "write it under authorization"),
            ("request: {authorization: Bearer a}", "this must be a list"),
            ("request: {target: 5}", "put quotes around it"),
            ("request: {target: é€}", "a character is one octet"),
            ("request: {target: [{repeat: a}]}", "a list of pieces"),
            ("shows: [S98]", "name a statement"),
            ("shows: [S1, S1]", "name each statement once"),
            ("shows: [X1]", "name a statement"),
            ("differs: {envoi: {status: 400, because: it does}}", "did you mean 'envoy'"),
            ("differs: {envoy: {status: 400}}", "because is missing"),
            ("differs: {envoy: {status: 600, because: it does}}", "a whole number from 0 to 599"),
        ],
    )
    def test_a_vector(self, tmp_path: Path, case: str, said: str) -> None:
        with pytest.raises(ConfigError, match=rf"a\.yaml:6:\d+: .*{said}"):
            read(tmp_path, case=case)

    @pytest.mark.parametrize(
        ("answer", "said"),
        [
            ("t: {stauts: 200}", "unknown key"),
            ("t: {sent: later}", "write at once, late, slowly or never"),
            ("t: {body: 5}", "put quotes around it"),
            ("t: []", "a mapping"),
        ],
    )
    def test_an_answer(self, tmp_path: Path, answer: str, said: str) -> None:
        with pytest.raises(ConfigError, match=rf"a\.yaml:3:\d+: .*{said}"):
            read(tmp_path, answer=answer)

    def test_names_are_given_once_in_all_files(self, tmp_path: Path) -> None:
        """Vectors are chosen by name, and a token means one thing."""
        written(tmp_path)
        written(tmp_path, name="b.yaml")
        with pytest.raises(ConfigError) as raised:
            load(tmp_path)
        assert [(fault.line, fault.value) for fault in raised.value.faults] == [(3, "t"), (5, "a case")]
        assert "a.yaml:5 has a vector of this name" in str(raised.value)

    def test_a_policy_must_be_there(self, tmp_path: Path) -> None:
        (written(tmp_path) / "a.yaml").write_text("about: a test\npolicy: mian\n")
        with pytest.raises(ConfigError, match=r"a\.yaml:2:9: no file .* did you mean 'main'"):
            load(tmp_path)


class TestDifferences:
    """A list of exceptions must not hide anything."""

    def test_each_is_one(self) -> None:
        """It says something else than the vector does."""
        same = [
            (case.name, place) for case in CASES for place, one in case.differs.items() if one.seen == case.expected
        ]
        assert same == []

    def test_no_door_of_ours_lets_pass_what_another_refuses(self) -> None:
        """What a gateway settles first may pass, because another request arrives; what we are asked is refused."""
        doors = {place for place in PLACES if place.startswith(("grpc", "http"))}
        passed = [
            case.name for case in CASES for place in doors & case.differs.keys() if case.differs[place].status == 200
        ]
        assert passed == []

    def test_the_page_shows_all_of_them(self) -> None:
        """`make differences` was run after the last change."""
        assert differences.PAGE.read_text() == differences.page()


def test_every_policy_is_played() -> None:
    """And each vector about it is known by its own name."""
    assert {case.policy for case in CASES} == {path.stem for path in (FOLDER / "policies").iterdir()}
    assert len({case.name for case in CASES}) == len(CASES)


def test_every_token_that_has_an_answer_is_sent() -> None:
    """An answer that nobody asks for shows nothing."""
    sent = {value.split(" ")[-1] for case in CASES for value in case.request.authorization}
    assert {*ANSWERS} - sent == set()
