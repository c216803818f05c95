"""`extauthz policy diff`."""

import json
import sys
import time
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

import click

from extauthz.cli.policy_files import FILE, FOUND, config_option, fail, read_document, servers_of
from extauthz.config.faults import ConfigError
from extauthz.policy_tools.diff import Seen, differences
from extauthz.policy_tools.predict import Replayed, replay
from extauthz.policy_tools.source import SoundSource, source_of

_SHOWN_PLACES = 3


@click.command()
@click.argument("old", type=FILE)
@click.argument("new", type=FILE)
@config_option
@click.option("--replay", "record", type=FILE, help="An audit log: which of these requests would end otherwise?")
@click.option("--json", "as_json", is_flag=True, help="One JSON document.")
def diff(old: Path, new: Path, config: Path | None, record: Path | None, *, as_json: bool) -> None:
    """Say which requests end otherwise under the policy NEW than under OLD.

    The requests are made up from the routes of both files, or taken from an audit log. The exit status is 0 without
    a difference, 1 with one, 2 when a file cannot be used.
    """
    before, after = (_sound(path, config) for path in (old, new))
    now = time.time()
    replayed = None
    if record is None:
        seen = differences(before.snapshot, after.snapshot, now)
    else:
        replayed = _replay(record, before, after, now)
        seen = replayed.seen
    if as_json:
        click.echo(json.dumps(_document(seen, replayed), indent=2))
    else:
        _tell(seen, before, after)
        _summary(seen, replayed)
    sys.exit(FOUND if seen else 0)


def _sound(path: Path, config: Path | None) -> SoundSource:
    source = source_of(read_document(path), servers_of(config))
    if not isinstance(source, SoundSource):
        fail(str(ConfigError(source.judged.faults)))
    return source


def _replay(record: Path, before: SoundSource, after: SoundSource, now: float) -> Replayed:
    try:
        with record.open("rb") as lines:
            return replay(lines, before.snapshot, after.snapshot, now)
    except OSError as error:
        fail(f"{record}: {error.strerror}")


def _tell(seen: Iterable[Seen], before: SoundSource, after: SoundSource) -> None:
    for change, methods, places, count in seen:
        more = f" and {len(places) - _SHOWN_PLACES} more" if len(places) > _SHOWN_PLACES else ""
        times = f" ({count} requests)" if count > len(methods) * len(places) else ""
        click.echo(f"{change.kind.upper():8}  {','.join(methods)} {' '.join(places[:_SHOWN_PLACES])}{more}{times}")
        if change.kind == "settings":
            click.echo(f"    {change.old} is not the same")
        else:
            click.echo(f"    {change.token}: {change.old}")
            click.echo(f"    {' ' * len(change.token)}  {change.new}")
        click.echo(f"    by {_rule(before, change.old_rule)}, then {_rule(after, change.new_rule)}")


def _rule(source: SoundSource, name: str) -> str:
    return f"{name} ({source.where(name)})" if name else "no route"


def _summary(seen: Iterable[Seen], replayed: Replayed | None) -> None:
    kinds = Counter(each.change.kind for each in seen)
    click.echo(", ".join(f"{number} {kind}" for kind, number in kinds.items()) or "no request ends otherwise")
    if replayed is not None:
        click.echo(
            f"{replayed.alike} recorded requests end alike, {replayed.silent} tell nothing about the policy,"
            f" {replayed.foreign} were not decided by OLD"
        )


def _document(seen: Iterable[Seen], replayed: Replayed | None) -> dict[str, object]:
    changes = [
        {
            "kind": each.change.kind,
            "methods": each.methods,
            "places": each.places,
            "count": each.times,
            "token": each.change.token,
            "old": {"outcome": each.change.old, "rule": each.change.old_rule},
            "new": {"outcome": each.change.new, "rule": each.change.new_rule},
        }
        for each in seen
    ]
    counted = (
        {} if replayed is None else {"alike": replayed.alike, "silent": replayed.silent, "foreign": replayed.foreign}
    )
    return {"changes": changes, **counted}
