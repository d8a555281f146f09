"""A hub id without a network: an answer at once, in words."""

from __future__ import annotations

from pathlib import Path

import huggingface_hub
import huggingface_hub.constants
import pytest

from mace_gov.core.errors import ModelError, UsageError
from mace_gov.diffusion.manifest import read_manifest
from mace_gov.workflow.checking import verified_base
from mace_gov.workflow.loading import generate_pictures


class Unreachable:
    """A hub client whose every question fails as the transport fails."""

    def model_info(self, *_arguments: object, timeout: float, **_options: object) -> None:
        assert timeout <= 5
        raise type("ConnectError", (Exception,), {})("[Errno -2] Name or service not known")


@pytest.fixture
def unreachable(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(huggingface_hub, "HfApi", Unreachable)


@pytest.mark.usefixtures("unreachable")
def test_without_a_network_only_the_cache_is_asked_and_the_message_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = {}

    def snapshot(_ref: str, **options: object) -> str:
        asked.update(options)
        raise huggingface_hub.errors.LocalEntryNotFoundError("An error happened")

    monkeypatch.setattr(huggingface_hub, "snapshot_download", snapshot)
    with pytest.raises(ModelError) as refused:
        read_manifest("some-owner/some-model")
    assert asked["local_files_only"] is True
    for part in ("'some-owner/some-model'", "does not answer", "not in the cache"):
        assert part in refused.value.message
    assert "Error" not in refused.value.message


@pytest.mark.usefixtures("unreachable")
def test_what_was_fetched_before_is_used(monkeypatch: pytest.MonkeyPatch, tiny_model: Path) -> None:
    monkeypatch.setattr(huggingface_hub, "snapshot_download", lambda _ref, **_options: str(tiny_model))
    assert read_manifest("some-owner/some-model").path == str(tiny_model.resolve())


def test_told_to_stay_offline_it_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    with pytest.raises(ModelError, match="HF_HUB_OFFLINE forbids to ask the hub, and it is not in the cache"):
        read_manifest("no-such-owner/no-such-model")


@pytest.mark.parametrize("ref", ["nsfw/1", "nsfw/v2"])
def test_a_versions_reference_is_never_a_hub_id(tmp_path: Path, ref: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(huggingface_hub, "snapshot_download", None)
    with pytest.raises(UsageError, match=f"'{ref}' names a governed version, and the registry .*mistyped has no such"):
        read_manifest(ref, registry=tmp_path / "mistyped")


@pytest.mark.parametrize("ref", ["", " "])
def test_an_empty_reference_means_nothing(ref: str) -> None:
    with pytest.raises(UsageError, match="reference is empty"):
        read_manifest(ref)


@pytest.mark.parametrize("ref", ["Nsfw/1", "nsfw/01", "nsfw/latest", "nsfw/compliant", "nsfw/1"])
def test_the_hub_is_never_asked_for_a_governed_model_that_was_mistyped(
    ref: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mace_gov.diffusion.manifest.fetch", lambda *_: pytest.fail("the hub was asked"))
    with pytest.raises(UsageError, match="names a governed version"):
        read_manifest(ref, registry=tmp_path)
    with pytest.raises(UsageError, match="no version|is no version"):
        generate_pictures(ref, ["a cat"], tmp_path / "out", seed=0, revision=None, key=None, registry=tmp_path)


def test_a_folder_may_be_called_as_a_version_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("models/latest").mkdir(parents=True)
    assert verified_base("models/latest", tmp_path / "registry") is None
    with pytest.raises(ModelError, match="model_index"):
        read_manifest("models/latest", registry=tmp_path / "registry")
