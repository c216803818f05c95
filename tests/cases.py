"""The vectors: requests and how each must end, read from tests/vectors; the README there tells how to write one.

Each is played through the bare engine, every door and every gateway, and ends the same way everywhere. A difference
that a gateway makes by itself, because it settles or refuses something first, stands at the vector with its cause.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from extauthz.config.document import Document
from extauthz.config.faults import ConfigError, Fault, nearest
from extauthz.config.validate import validate
from extauthz.config.yaml_source import read_yaml
from support.stub_server import Reply
from support.vectorfile import Difference, Request, Seen, Vector, VectorFile

__all__ = ["ANSWERS", "CASES", "POLICY", "Case", "Difference", "Request", "Seen", "included", "load", "policy_text"]

FOLDER = Path(__file__).with_name("vectors")


class Case(Vector):
    """One vector, and the policy that it is about."""

    policy: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Vectors:
    """All files together.

    Attributes:
        cases: in the order of files and lines, those about one policy together.
        answers: what the authorization server says about each token; all others are inactive.
    """

    cases: tuple[Case, ...]
    answers: dict[str, Callable[[], Reply]]


def load(folder: Path) -> Vectors:
    """Read all files of a folder.

    Raises:
        ConfigError: with every fault of every file.
    """
    documents = [read_yaml(path.read_bytes(), str(path)) for path in sorted(folder.glob("*.yaml"))]
    judged = [(document, *validate(VectorFile, document)) for document in documents]
    files = [(document, file) for document, file, _ in judged if file is not None]
    faults = [fault for _, _, found in judged for fault in found]
    faults += [*_said_twice(documents), *_without_policy(files, folder)]
    if faults:
        raise ConfigError(faults)
    cases = [Case.model_construct(**dict(vector), policy=file.policy) for _, file in files for vector in file.cases]
    return Vectors(
        cases=tuple(sorted(cases, key=lambda case: (case.policy != "main", case.policy))),
        answers={token: said.reply for _, file in files for token, said in file.answers.items()},
    )


def _said_twice(documents: Iterable[Document]) -> Iterator[Fault]:
    """A fault for each name of a vector, and for each token with an answer, that an earlier place has."""
    first: dict[tuple[str, str], str] = {}
    for document in documents:
        for kind, name, path in _names(document):
            place = f"{document.file}:{document.value_place(path).line}"
            earlier = first.setdefault((kind, name), place)
            if earlier != place:
                yield document.fault(path, f"{earlier} has a {kind} of this name already", value=name)


def _names(document: Document) -> Iterator[tuple[str, str, tuple[str | int, ...]]]:
    cases, answers = document.at(("cases",)), document.at(("answers",))
    for index in range(len(cases) if isinstance(cases, list) else 0):
        path = ("cases", index, "name")
        yield "vector", str(document.at(path)), path
    yield from (("token", name, ("answers", name)) for name in (answers if isinstance(answers, dict) else ()))


def _without_policy(files: Iterable[tuple[Document, VectorFile]], folder: Path) -> Iterator[Fault]:
    known = [path.stem for path in folder.glob("policies/*.yaml")]
    for document, file in files:
        if file.policy not in known:
            message = f"no file of {folder / 'policies'} has this name"
            yield document.fault(("policy",), message, value=file.policy, hint=nearest(file.policy, known))


def policy_text(name: str) -> str:
    """The policy of that name, as the file of an operator."""
    return (FOLDER / "policies" / f"{name}.yaml").read_text()


def included(policy: str) -> list[Path]:
    """Folders with files that the text of a policy includes."""
    return [path for path in sorted((FOLDER / "policies").iterdir()) if f"include: [{path.name}/" in policy]


_VECTORS = load(FOLDER)
CASES = _VECTORS.cases
ANSWERS = _VECTORS.answers
POLICY = policy_text("main")
