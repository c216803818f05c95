"""Peers are measured or named, and the page says how to get each."""

from pathlib import Path

import pytest

from bench import peers
from bench.peers import PEERS, Peer, apache, installed, njs, not_installed
from bench.stage import Part, Stage

PAGE = Path(peers.__file__).with_name("README.md").read_text(encoding="utf-8")


def _start(_stage: Stage) -> Part:
    raise AssertionError("nobody starts it")


def test_what_is_not_installed_is_named_with_what_to_type(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is left out of the rows, and never in silence."""
    there = Peer(name="one", missing=lambda: "", start=_start)
    absent = Peer(name="other", missing=lambda: "apt-get install other", start=_start)
    monkeypatch.setattr("bench.peers.PEERS", (there, absent))
    assert installed() == [there]
    assert not_installed() == ["peers: other is not measured: apt-get install other"]


def test_a_module_that_is_not_there_is_missing(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Both look for the file that they load."""
    monkeypatch.setattr("bench.peers.njs._MODULE", tmp_path / "none.so")
    monkeypatch.setattr("bench.peers.apache._MODULES", tmp_path)
    assert njs.missing() == "apt-get install libnginx-mod-http-js"
    assert "libapache2-mod-oauth2" in apache.missing()


def test_the_page_names_every_peer() -> None:
    """And those only that there are."""
    assert all(f"| {peer.name} |" in PAGE for peer in PEERS)
