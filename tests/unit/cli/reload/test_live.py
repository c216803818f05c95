"""What one worker does with an outcome: all of it, or nothing."""

import json
from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml

import cases
from extauthz.app import Service, build
from extauthz.cli.reload.live import Live, Report, Result, summary
from extauthz.cli.reload.outcome import Outcome, write
from extauthz.config.faults import ConfigError
from extauthz.config.load import ServiceConfig, load_service
from extauthz.config.sources import Sources

NOW = 1_800_000_000.0
SECRET = "canary-of-the-client"
SETTINGS = {
    "listen": {"gateway": "127.0.0.1:9191", "ops": "127.0.0.1:9192"},
    "policy": "policy.yaml",
    "audit": {"path": "off"},
    "authorization_servers": {
        "main": {"introspection_endpoint": "http://127.0.0.1:1/", "client": {"id": "gateway", "secret": {"env": "S"}}}
    },
}


@dataclass
class Bench:
    """A worker's parts, and a folder with its files."""

    folder: Path
    service: Service
    live: Live
    number: int = 0

    def outcome(self, policy: str = cases.POLICY, **settings: object) -> Path:
        """What would be compiled of these files."""
        self.number += 1
        out = self.folder / f"outcome-{self.number}"
        sources = Sources()
        try:
            config = load(self.folder, policy, sources, **settings)
        except ConfigError as error:
            write(out, Outcome(seen=dict(sources.seen), faults=error.faults))
        else:
            outcome = Outcome(seen=dict(config.seen), settings=config.settings, digest=config.digest)
            write(out, outcome, config.snapshot)
        return out

    def counted(self, result: Result) -> bool:
        return f'extauthz_reloads_total{{result="{result}"}} 1.0'.encode() in self.service.metrics.exposition()[0]


def load(folder: Path, policy: str, sources: Sources, **settings: object) -> ServiceConfig:
    (folder / "policy.yaml").write_text(policy)
    path = folder / "extauthz.yaml"
    path.write_text(yaml.safe_dump(SETTINGS | settings))
    return load_service(path, {"S": SECRET}, sources)


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    config = load(tmp_path, cases.POLICY, Sources())
    service = build(config)
    return Bench(tmp_path, service, Live(service, config, lambda: NOW))


OTHER = cases.POLICY.replace("scopes: [orders:read]", "scopes: [orders:other]")


async def test_a_good_outcome_is_put_in_force_whole(bench: Bench) -> None:
    """The next generation, and all that is told of it."""
    before = bench.live.digest
    report = await bench.live.take(bench.outcome(OTHER))
    policy = bench.service.authorizer.policy
    assert (report.result, report.generation, policy.generation) == (Result.RELOADED, 2, 2)
    assert {rule.alternatives for rule in policy.routes.rules} & {(frozenset({"orders:other"}),)}
    assert report.digest == bench.live.digest != before
    assert bench.counted(Result.RELOADED)


async def test_the_same_again_is_no_news(bench: Bench) -> None:
    """The generation stays, and the table is the one that was there."""
    table = bench.service.authorizer.policy.routes
    report = await bench.live.take(bench.outcome())
    assert (report.result, report.generation) == (Result.UNCHANGED, 1)
    assert bench.service.authorizer.policy.routes is table
    assert bench.counted(Result.UNCHANGED)


async def test_faults_change_nothing_and_are_shown(bench: Bench) -> None:
    """When and where, also after a reload that went well; what stands in the files is not shown."""
    table = bench.service.authorizer.policy.routes
    bad = await bench.live.take(bench.outcome(OTHER + f"\nnonsense: {SECRET}\n"))
    assert (bad.result, bad.generation) == (Result.REFUSED, 1)
    assert bench.service.authorizer.policy.routes is table
    assert bench.counted(Result.REFUSED)
    await bench.live.take(bench.outcome(OTHER))
    failure = bench.live.describe()["reload"]["last_failure"]
    assert failure["at"] == "2027-01-15T08:00:00.000+00:00"
    assert failure["faults"] == bad.faults
    assert bad.faults[0]["file"] == str(bench.folder / "policy.yaml")
    assert SECRET not in json.dumps(bench.live.describe())


async def test_a_key_that_takes_a_restart_holds_everything_back(bench: Bench) -> None:
    """It is named, and the policy stays too."""
    report = await bench.live.take(bench.outcome(OTHER, workers=2, drain_delay="1s"))
    assert (report.result, report.restart, report.generation) == (Result.REFUSED, ("workers",), 1)
    assert bench.live.settings.drain_delay != 1.0


async def test_an_outcome_that_cannot_be_used_is_refused(bench: Bench) -> None:
    """Whatever is the matter with it; and the next one counts again."""
    config = load(bench.folder, OTHER, Sources())
    path = bench.folder / "unusable"
    write(path, Outcome(seen={}, settings=config.settings, digest=config.digest))  # without a policy
    report = await bench.live.take(path)
    assert (report.result, report.generation) == (Result.REFUSED, 1)
    assert "cannot be taken over" in report.faults[0]["message"]
    assert (await bench.live.take(bench.outcome(OTHER))).generation == 2


async def test_live_keys_are_applied(bench: Bench) -> None:
    """Also when the policy is the same."""
    report = await bench.live.take(bench.outcome(drain_delay="1s"))
    assert report.result is Result.RELOADED
    assert bench.live.settings.drain_delay == 1.0


async def test_a_report_is_the_same_after_a_journey_as_json(bench: Bench) -> None:
    """From worker to supervisor."""
    for policy in (OTHER, "version: 7"):
        report = await bench.live.take(bench.outcome(policy))
        assert Report.from_json(json.loads(json.dumps(report.as_json()))) == report


@pytest.mark.parametrize(
    ("results", "word"),
    [
        ("reloaded reloaded", "reloaded"),
        ("unchanged unchanged", "unchanged"),
        ("unchanged reloaded", "reloaded"),
        ("reloaded refused", "mixed"),
        ("unchanged refused", "mixed"),
        ("reloaded unchanged refused", "mixed"),
        ("", "none"),
    ],
)
def test_the_answer_says_in_a_word_what_all_did(results: str, word: str) -> None:
    """Unless they did not do the same, or there was none. A worker that just started has the new policy already."""
    done = [
        Report(worker=number, result=Result(result), generation=1, digest="d", routes=1)
        for number, result in enumerate(results.split())
    ]
    assert summary(done)["result"] == word
