"""`extauthz demo`: the whole thing on one machine, with a real Envoy and a real NGINX, shown working and failing.

It starts the parts, walks the tour through both gateways, stays up for curl, and leaves nothing behind.
"""

import contextlib
import http.client
import signal
import time
from collections.abc import Callable, Iterator
from types import FrameType

import click

from extauthz.cli.processes import MissingProgram, ProcessFailed
from extauthz.cli.stage import GATEWAYS, PARTS, NotReady, Stage, open_stage
from extauthz.cli.tour import WATCHED, Act, Answer, Chapter, Headers, Request, Row, Tokens, tour
from extauthz.cli.upstream import Received

_POLL_SECONDS = 0.2
_REQUEST_SECONDS = 5.0
_NO_ANSWER = 0
_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


@click.command()
@click.option("--once", is_flag=True, help="End after the tour instead of staying up for curl.")
def demo(*, once: bool) -> None:
    """Show it all at work on this machine.

    Starts an authorization server, extauthz, Envoy, NGINX and an application, sends requests through both gateways,
    and says what came back. The exit status is 1 when an answer is not the expected one.
    """
    try:
        with _interruptible(), open_stage() as stage:
            differences = _show(stage)
            if not once:
                _stay(stage.tokens)
    except (MissingProgram, ProcessFailed, NotReady) as error:
        raise click.ClickException(str(error)) from error
    raise SystemExit(1 if differences else 0)


def _show(stage: Stage) -> int:
    """Start and walk the tour; the number of answers that are not the expected ones."""
    begin = time.monotonic()
    _start(stage)
    differences = sum(_play(stage, chapter) for chapter in tour(stage.tokens))
    seconds = time.monotonic() - begin
    if differences:
        click.secho(f"\n{differences} answers are not the expected ones, after {seconds:.1f} s", fg="red", bold=True)
    else:
        click.secho(f"\nevery answer is the expected one, after {seconds:.1f} s", fg="green", bold=True)
    return differences


def _start(stage: Stage) -> None:
    """Start all parts, each with a line once it is up."""
    click.secho(f"{'part':<22}{'on 127.0.0.1':<15}state", bold=True)
    for name in stage.start():
        ports = ", ".join(map(str, PARTS[name]))
        click.echo(f"{name:<22}{ports:<15}" + click.style(f"up after {stage.up[name]:.1f} s", fg="green"))


def _stay(tokens: Tokens) -> None:
    """Wait for Ctrl-C."""
    with contextlib.suppress(KeyboardInterrupt):
        click.echo(_curl(tokens))
        signal.pause()
    click.echo("ending")


@contextlib.contextmanager
def _interruptible() -> Iterator[None]:
    """The first signal ends the demo in an orderly way; the ones after it must not disturb the cleaning up."""

    def interrupt(_number: int, _frame: FrameType | None) -> None:
        for each in _SIGNALS:
            signal.signal(each, signal.SIG_IGN)
        raise KeyboardInterrupt

    heeded = [each for each in _SIGNALS if signal.getsignal(each) is not signal.SIG_IGN]  # nohup ignores SIGHUP
    before = {each: signal.signal(each, interrupt) for each in heeded}
    try:
        yield
    finally:
        for each, handler in before.items():
            signal.signal(each, handler)


def _play(stage: Stage, chapter: Chapter) -> int:
    """One chapter; the number of differences."""
    click.secho(f"\n{chapter.title}", bold=True, underline=True)
    _ACTS[chapter.act](stage)
    return sum(_walk(stage, row) for row in chapter.rows)


def _revoke(stage: Stage) -> None:
    for token in (stage.tokens.carol, stage.tokens.erin):
        stage.revoke(token)


_ACTS: dict[Act, Callable[[Stage], None]] = {
    Act.NOTHING: lambda _: None,
    Act.REVOKE: _revoke,
    Act.STOP_SERVER: Stage.stop_server,
    Act.START_SERVER: Stage.start_server,
}


def _walk(stage: Stage, row: Row) -> int:
    """One row through each gateway; the number of differences."""
    click.echo(click.style(row.title, bold=True) + f"   {_asked(row.request)}")
    click.secho(f"  expected  {_told(row.expected)}", dim=True)
    differences = 0
    for gateway, port in GATEWAYS.items():
        actual, seconds = _patiently(stage, port, row)
        right = actual == row.expected
        differences += not right
        waited = f"   after {seconds:.1f} s" if row.within_seconds else ""
        if right:
            click.echo(click.style(f"  ok  {gateway}  ", fg="green") + _told(actual) + waited)
        else:
            click.secho(f"  NOT {gateway}  {_told(actual)}{waited}", fg="red", bold=True)
    return differences


def _patiently(stage: Stage, port: int, row: Row) -> tuple[Answer, float]:
    """The expected answer, or the one that came when the row's time was up; and how long that took."""
    begin = time.monotonic()
    while True:
        actual = _ask(stage, port, row.request)
        seconds = time.monotonic() - begin
        if actual == row.expected or seconds >= row.within_seconds:
            return actual, seconds
        time.sleep(_POLL_SECONDS)


def _ask(stage: Stage, port: int, request: Request) -> Answer:
    """Send one request on a connection of its own."""
    before = len(stage.upstream.received)
    try:
        status, headers = _send(port, request)
    except (OSError, http.client.HTTPException):
        return Answer(status=_NO_ANSWER)
    return Answer(
        status=status,
        challenges=tuple(headers.get_all("WWW-Authenticate", ())),
        retry_after="Retry-After" in headers,
        identity=_identity(stage.upstream.received[before:]),
    )


def _send(port: int, request: Request) -> tuple[int, http.client.HTTPMessage]:
    with contextlib.closing(http.client.HTTPConnection("127.0.0.1", port, timeout=_REQUEST_SECONDS)) as connection:
        connection.putrequest(request.method, request.target, skip_accept_encoding=True)
        for name, value in request.headers:
            connection.putheader(name, value)
        connection.putheader("Content-Length", "0")
        connection.endheaders()
        response = connection.getresponse()
        response.read()
        return response.status, response.headers


def _identity(received: list[Received]) -> Headers | None:
    if not received:
        return None
    return tuple(sorted((n.lower(), v) for request in received for n, v in request.headers if n.lower() in WATCHED))


def _asked(request: Request) -> str:
    """The request line and the names of the headers; their values are tokens, or do not matter."""
    names = ", ".join(name for name, _ in request.headers)
    return f"{request.method} {request.target}" + (f"   with {names}" if names else "")


def _told(answer: Answer) -> str:
    status = str(answer.status) if answer.status != _NO_ANSWER else "no answer"
    retry_after = ("Retry-After",) if answer.retry_after else ()
    return "   ".join((status, *answer.challenges, *retry_after, *_seen(answer.identity)))


def _seen(identity: Headers | None) -> tuple[str, ...]:
    """What the upstream learned; nothing to tell when it was not asked."""
    if identity is None:
        return ()
    return ("upstream saw " + (", ".join(f"{name}: {value}" for name, value in identity) or "no identity"),)


def _curl(tokens: Tokens) -> str:
    envoy, nginx = (f"http://127.0.0.1:{port}" for port in GATEWAYS.values())
    return f"""
Everything stays up until Ctrl-C. Try:

  curl -i {envoy}/orders/1
  curl -i {envoy}/orders/1 -H 'Authorization: Bearer {tokens.alice}'
  curl -i {nginx}/orders/1 -H 'Authorization: Bearer {tokens.alice}' -H 'X-Auth-Sub: root'
  curl -i {nginx}/orders/1 -H 'Authorization: Bearer {tokens.bob}'
  curl -i {envoy}/me -H 'Authorization: Bearer {tokens.bob}'
  curl -i --path-as-is {nginx}/orders/..%2fme -H 'Authorization: Bearer {tokens.alice}'
  curl -s http://127.0.0.1:9192/metrics
"""
