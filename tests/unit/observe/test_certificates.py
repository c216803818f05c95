"""Certificates of our own: when the one in use ends is measured, and one that is not good now is told."""

from collections.abc import Callable
from pathlib import Path

import pytest

from extauthz.keyfiles import Validity, read_validity
from extauthz.observe.certificates import Certificates, Use
from extauthz.observe.events import Happening
from extauthz.testing import RecordingObserver
from support.certificates import Authority

Measured = list[tuple[str, str, float]]


@pytest.fixture
def certificate(tmp_path: Path) -> Path:
    return Authority(tmp_path).issue("gateway").certificate


def certificates(observer: RecordingObserver, measured: Measured, now: float) -> Certificates:
    return Certificates(lambda *what: measured.append(what), observer, wall=lambda: now)


def test_the_end_of_what_is_taken_into_use_is_measured_and_a_good_one_is_no_news(certificate: Path) -> None:
    observer, measured, validity = RecordingObserver(), Measured(), read_validity(certificate)
    certificates(observer, measured, validity.begins).taken(certificate, Use.AUTHORIZATION_SERVER, "main")
    assert measured == [("authorization_server", "main", validity.ends)]
    assert observer.happenings == []


@pytest.mark.parametrize(
    ("now", "words"),
    [(lambda good: good.ends + 1, "ended on "), (lambda good: good.begins - 1, "is good only from ")],
    ids=["expired", "not yet valid"],
)
def test_one_that_is_not_good_now_is_told_with_its_file_and_the_date(
    now: Callable[[Validity], float], words: str, certificate: Path
) -> None:
    """It is used all the same: the clock of this host may be the one that is wrong."""
    observer, measured, validity = RecordingObserver(), Measured(), read_validity(certificate)
    certificates(observer, measured, now(validity)).taken(certificate, Use.LISTENER)
    assert measured == [("listener", "", validity.ends)]
    (event,) = observer.happenings
    assert (event.what, event.subject) == (Happening.CERTIFICATE_NOT_VALID, "listener")
    assert event.detail.startswith(f"{certificate}: it {words}20")


def test_an_authorization_server_is_told_by_its_name(certificate: Path) -> None:
    observer = RecordingObserver()
    certificates(observer, Measured(), 0.0).taken(certificate, Use.AUTHORIZATION_SERVER, "main")
    assert [event.subject for event in observer.happenings] == ["main"]


def test_one_whose_dates_cannot_be_read_is_told_and_not_measured(tmp_path: Path) -> None:
    """OpenSSL takes some that others do not."""
    observer, measured = RecordingObserver(), Measured()
    certificates(observer, measured, 0.0).taken(tmp_path / "none.pem", Use.SHARED_CACHE)
    assert measured == []
    (event,) = observer.happenings
    assert (event.what, event.subject) == (Happening.CERTIFICATE_NOT_VALID, "shared_cache")
    assert event.detail == f"{tmp_path / 'none.pem'}: this file does not exist"


def test_where_there_is_no_certificate_there_is_nothing_to_tell() -> None:
    observer, measured = RecordingObserver(), Measured()
    certificates(observer, measured, 0.0).taken(None, Use.LISTENER)
    assert (measured, observer.happenings) == ([], [])
