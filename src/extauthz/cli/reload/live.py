"""What is in force in one worker, and how something new takes its place: whole, or not at all."""

import asyncio
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import Any, Final, Self

from extauthz.app import Service
from extauthz.cli.reload.give_back import give_back
from extauthz.cli.reload.outcome import Outcome, read_outcome, read_policy
from extauthz.config.faults import Fault
from extauthz.config.load import ServiceConfig
from extauthz.config.service_schema import ServiceFile, restart_keys
from extauthz.observe.events import Happened, Happening
from extauthz.observe.logs import configure


class Result(StrEnum):
    """What became of a reload. Stable: in answers, and a metric label."""

    RELOADED = "reloaded"
    UNCHANGED = "unchanged"
    REFUSED = "refused"


_HAPPENINGS: Final = {
    Result.RELOADED: Happening.POLICY_RELOADED,
    Result.UNCHANGED: Happening.POLICY_UNCHANGED,
    Result.REFUSED: Happening.POLICY_REFUSED,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """What one worker did.

    Attributes:
        worker: its process id.
        result: in a word.
        generation: of the policy that is in force now.
        digest: SHA-256 of its files.
        routes: how many it has.
        faults: why nothing was changed: file, line, column and message of each fault.
        restart: keys of `extauthz.yaml` that have changed and take a restart; then, too, nothing was changed.
    """

    worker: int
    result: Result
    generation: int
    digest: str
    routes: int
    faults: tuple[Mapping[str, Any], ...] = ()
    restart: tuple[str, ...] = ()

    def as_json(self) -> dict[str, Any]:
        """As JSON has it."""
        return asdict(self)

    @classmethod
    def from_json(cls, members: Mapping[str, Any]) -> Self:
        """Back from it."""
        lists = {name: tuple(members[name]) for name in ("faults", "restart")}
        return cls(**{**members, "result": Result(members["result"]), **lists})


class Live:
    """Keeps a worker's policy and what of its settings may change.

    Args:
        service: what decides.
        config: what it was built from.
        wall: seconds since the epoch.
    """

    def __init__(self, service: Service, config: ServiceConfig, wall: Callable[[], float]) -> None:
        self._service = service
        self._start = config.settings
        self._wall = wall
        self.settings = config.settings
        self._digest = config.digest
        self._policy_path = config.policy_path
        self._folder = config.folder
        self._loaded_at = wall()
        self._failure: Mapping[str, Any] | None = None
        self._one_at_a_time = asyncio.Lock()

    @property
    def digest(self) -> str:
        """Of the policy in force."""
        return self._digest

    async def take(self, path: Path) -> Report:
        """Put the outcome in this file in force, if it is good; count and tell it."""
        async with self._one_at_a_time:
            outcome = read_outcome(path)
            settings = outcome.settings
            restart = () if settings is None else restart_keys(self._start, settings)
            if settings is None or restart:
                result = self._refuse(outcome, restart)
            elif outcome.digest == self._digest and settings == self.settings:
                result = Result.UNCHANGED
            else:
                result, outcome = await self._try(outcome, settings, path)
        report = self._report(result, outcome, restart)
        self._tell(report, outcome)
        return report

    def describe(self) -> Mapping[str, Any]:
        """What is in force, and the last failure; no secrets, and nothing of what stands in the files."""
        policy = self._service.authorizer.policy
        return {
            "worker": os.getpid(),
            "policy": {
                "file": str(self._policy_path),
                "digest": self._digest,
                "generation": policy.generation,
                "loaded_at": _time(self._loaded_at),
                "routes": len(policy.routes.rules),
            },
            "reload": {"watch": self._start.reload.watch, "last_failure": self._failure},
        }

    async def _try(self, outcome: Outcome, settings: ServiceFile, path: Path) -> tuple[Result, Outcome]:
        """Put it in force; an outcome that turns out to be unusable is one with a fault."""
        try:
            await self._put_in_force(outcome.digest, settings, path)
        except Exception as error:  # noqa: BLE001 - whatever it is, reloads must go on
            message = f"the compiled policy cannot be taken over: {type(error).__name__}"
            fault = Fault(file=str(self._policy_path), line=1, column=1, message=message)
            failed = Outcome(seen=outcome.seen, faults=(fault,))
            return self._refuse(failed, ()), failed
        return Result.RELOADED, outcome

    async def _put_in_force(self, digest: str, settings: ServiceFile, path: Path) -> None:
        fresh = await asyncio.to_thread(read_policy, path)
        authorizer = self._service.authorizer
        old = authorizer.policy
        authorizer.policy = replace(fresh, generation=old.generation + 1)  # all of the change, for the next request
        self._digest, self._loaded_at = digest, self._wall()
        self._policy_path = self._folder / settings.policy
        if settings.log != self.settings.log:
            configure(settings.log.level, settings.log.format)
            self._service.log_level.reconfigure(settings.log.level)
        self.settings = settings
        held: list[object] = [old]
        del old
        await asyncio.to_thread(give_back, held)

    def _refuse(self, outcome: Outcome, restart: tuple[str, ...]) -> Result:
        self._failure = {"at": _time(self._wall()), "faults": _faults(outcome), "restart": restart}
        return Result.REFUSED

    def _report(self, result: Result, outcome: Outcome, restart: tuple[str, ...]) -> Report:
        policy = self._service.authorizer.policy
        return Report(
            worker=os.getpid(),
            result=result,
            generation=policy.generation,
            digest=self._digest,
            routes=len(policy.routes.rules),
            faults=_faults(outcome),
            restart=restart,
        )

    def _tell(self, report: Report, outcome: Outcome) -> None:
        detail = f"generation {report.generation}, {report.routes} routes"
        if report.restart:
            detail = f"changed in extauthz.yaml, which takes a restart: {', '.join(report.restart)}"
        elif report.faults:
            detail = "\n".join(fault.render() for fault in outcome.faults)
        what = _HAPPENINGS[report.result]
        self._service.observer.happened(Happened(what=what, subject="policy", detail=detail))


def _faults(outcome: Outcome) -> tuple[Mapping[str, Any], ...]:
    """Without what stands in the files."""
    return tuple(
        {"file": fault.file, "line": fault.line, "column": fault.column, "message": fault.message}
        for fault in outcome.faults
    )


def _time(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds")


def summary(reports: Sequence[Report]) -> dict[str, Any]:
    """What all workers did as one answer: `result` is what each of them did, or `mixed`, or `none` when nobody answered.

    A worker that has just started has read the new files by itself: `unchanged` beside `reloaded` is no difference.
    """
    results = {report.result for report in reports}
    if Result.RELOADED in results:
        results.discard(Result.UNCHANGED)
    result = results.pop().value if len(results) == 1 else "mixed" if results else "none"
    return {"result": result, "workers": [report.as_json() for report in reports]}
