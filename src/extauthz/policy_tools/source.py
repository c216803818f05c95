"""A policy file with its places: which line a rule stands on."""

from collections.abc import Mapping
from dataclasses import dataclass

from extauthz.config.document import Document, Path
from extauthz.config.judge import Judged, judge_policy
from extauthz.config.service_schema import AuthorizationServer
from extauthz.config.yaml_source import read_yaml
from extauthz.core.snapshot import Snapshot

NO_SERVERS: Mapping[str, AuthorizationServer] = {}


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """A policy file that was read and judged."""

    document: Document
    judged: Judged

    def path_of(self, rule: str) -> Path:
        """Where the rule of that name is in the document; the whole of it when there is none."""
        found = (index for index, entry in self.judged.policy.entries if entry.name == rule)
        return next((("routes", index) for index in found), ())

    def line_of(self, rule: str) -> int:
        """The line on which the rule begins, from 1."""
        return self.document.value_place(self.path_of(rule)).line

    def file_of(self, rule: str) -> str:
        """The file that has the rule."""
        return self.document.owner(self.path_of(rule)).file

    def where(self, rule: str) -> str:
        """`file:line` of a rule, for a reader and for editors."""
        return f"{self.file_of(rule)}:{self.line_of(rule)}"

    def near(self, rule: str, reader: str) -> str:
        """Where a rule is, for whoever reads of it at another one: `line 5`, or `other.yaml:5`."""
        return self.document.near(self.path_of(rule), self.path_of(reader))


@dataclass(frozen=True, slots=True, kw_only=True)
class SoundSource(Source):
    """A policy file without faults, and what it means."""

    snapshot: Snapshot


def read_policy(text: bytes, file: str) -> Source:
    """Read a policy file that includes no others; see `source_of`."""
    return source_of(read_yaml(text, file))


def source_of(document: Document, servers: Mapping[str, AuthorizationServer] = NO_SERVERS) -> Source:
    """Judge a policy file; `servers` are those of extauthz.yaml, without any their names are not checked."""
    judged = judge_policy(document, servers, tuple(servers))
    if judged.snapshot is None:
        return Source(document=document, judged=judged)
    return SoundSource(document=document, judged=judged, snapshot=judged.snapshot)
