"""What is recorded, and where it goes."""

import pytest
from pydantic import ValidationError

from extauthz.config import recording
from extauthz.config.recording import Audit, Tracing
from extauthz.config.yaml_source import read_yaml

ENDPOINT = "http://127.0.0.1:4318/v1/traces"


def missing(name: str) -> None:
    """Nothing of that name is installed."""
    raise ModuleNotFoundError(name)


def test_by_default_everything_is_recorded_and_a_loss_is_counted() -> None:
    """Denying for want of a record is a choice."""
    audit = Audit()
    assert (audit.path, audit.sample_allows, audit.rotate, audit.on_loss) == ("stdout", 1.0, None, "count")


@pytest.mark.parametrize("share", [0, 1, 0.001, 1.0])
def test_a_share_is_a_number_from_0_to_1(share: float) -> None:
    assert Audit.model_validate({"sample_allows": share}).sample_allows == share


@pytest.mark.parametrize("share", ["0", "1", "0.01", "1.0"])
def test_a_share_can_be_written_in_a_file(share: str) -> None:
    """Where a decimal fraction is text until somebody reads it."""
    audit = read_yaml(f"sample_allows: {share}\n".encode(), "extauthz.yaml").at(())
    assert Audit.model_validate(audit).sample_allows == float(share)


@pytest.mark.parametrize("share", [-0.1, 1.1, "1.1", "0.5x", "-0.5", "1e-1", "nan", "", True, None, float("nan")])
def test_nothing_else_is_a_share(share: object) -> None:
    """A flag is no number."""
    with pytest.raises(ValidationError, match="from 0 to 1"):
        Audit.model_validate({"sample_allows": share})


def test_a_size_of_a_file_is_written_with_its_unit() -> None:
    audit = Audit.model_validate({"path": "/var/log/a", "rotate": {"size": "2MiB"}})
    assert audit.rotate is not None
    assert (audit.rotate.size, audit.rotate.keep) == (2 * 1024 * 1024, 10)


@pytest.mark.parametrize("find", [missing, lambda _: None])
def test_traces_without_the_packages_for_them_are_a_fault(monkeypatch: pytest.MonkeyPatch, find: object) -> None:
    """The sentence says what to install; nothing is started."""
    assert Tracing.model_validate({"endpoint": ENDPOINT}).sample == 0.1
    monkeypatch.setattr(recording, "find_spec", find)
    with pytest.raises(ValidationError, match=r"extauthz\[otel\]"):
        Tracing.model_validate({"endpoint": ENDPOINT})
