from __future__ import annotations

import pytest

from mace_gov.core.errors import IncompleteError, PolicyError
from mace_gov.core.redact import redact


@pytest.mark.parametrize("address", [
    "https://ann:hunter2222@host/x", "http://ann:hunter2222@host:5000", "postgresql://ann:hunter2222@db/mlflow",
    "postgresql+psycopg2://ann:a/hunter2222@db/mlflow", "https://hunter2222@host", "https://ann:a@hunter2222@host",
    "socks5h://ann:hunter2222@proxy:1080", "'https://ann:hunter2222@host'",
])
def test_no_login_of_an_address_is_said(address: str) -> None:
    told = redact(f"could not open {address} in time")
    assert "hunter2222" not in told
    assert "ann" not in told
    assert told.startswith("could not open ")
    assert told.endswith(" in time")


@pytest.mark.parametrize("text", ["models:/nsfw@compliant", "https://host/a", "pkg:pypi/torch@2.13.0", "ann@host: x://",
                                  "a list: b@c", "https://a/b and c@d"])
def test_what_is_no_login_stays(text: str) -> None:
    assert redact(text) == text


@pytest.mark.parametrize("variable", ["MLFLOW_TRACKING_PASSWORD", "MLFLOW_TRACKING_TOKEN", "HF_TOKEN",
                                      "MACE_GOV_PASSPHRASE", "AWS_SECRET_ACCESS_KEY"])
def test_no_secret_of_the_environment_is_said(variable: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(variable, "hunter2222")
    assert redact("401 for hunter2222") == "401 for ***"
    monkeypatch.setenv(variable, "true")
    assert redact("it is true") == "it is true"


def test_a_password_is_known_also_when_the_address_was_taken_to_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PIP_INDEX_URL", "https://index-7777@host")
    assert redact("index-7777 was refused") == "*** was refused"
    monkeypatch.setenv("HTTPS_PROXY", "http://ann:hunter%402222@proxy")
    assert redact("proxy refused hunter@2222 and hunter%402222") == "proxy refused *** and ***"


def test_errors_hold_none() -> None:
    said = "https://ann:hunter2222@host"
    for error in (IncompleteError(said, hint=said), PolicyError(said, [said], hint=said)):
        assert "hunter2222" not in f"{error} {error.message} {error.hint} {getattr(error, 'problems', ())}"
