"""Nothing is loaded before it has been verified, and nothing that its verdict does not let through."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

import mace_gov
from mace_gov.attest.keypair import generate_key, load_key_pair
from mace_gov.attest.keys import pin
from mace_gov.attest.sign_off import ReviewerDecision
from mace_gov.cli import main
from mace_gov.core.digest import folder_files
from mace_gov.core.errors import IntegrityError, NotReleasedError, UsageError
from mace_gov.diffusion import load as loading
from mace_gov.documents.sign_off import Decision
from mace_gov.documents.trust import Role
from mace_gov.embedded import vocabulary
from mace_gov.workflow import loading as guarded
from mace_gov.workflow import signing_off
from tests import factories
from tests.factories import SignedVersion

WEIGHTS = "unet/diffusion_pytorch_model.safetensors"


def version(root: Path, model: Path, **more: object) -> SignedVersion:
    files = {path.relative_to(model).as_posix(): path.read_bytes() for path in model.rglob("*") if path.is_file()}
    return factories.version_folder(root, files=files, complete=True, **more)


@pytest.fixture
def governed(tmp_path: Path, tiny_model: Path) -> SignedVersion:
    return version(tmp_path, tiny_model)


@pytest.fixture
def never(monkeypatch: pytest.MonkeyPatch) -> None:
    def load_pipeline(*_args: object, **_options: object) -> None:
        raise AssertionError("a model was loaded that was not verified")

    monkeypatch.setattr(loading, "load_pipeline", load_pipeline)


def test_importing_the_package_loads_no_model_library() -> None:
    code = "import sys, mace_gov; mace_gov.load, mace_gov.apply, mace_gov.verify\n" \
           "print({'torch', 'diffusers', 'mlflow', 'pydantic'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True,
                          cwd=Path(__file__).parents[2])
    assert done.stdout.strip() == "set()"


def test_a_version_loads_by_name_by_folder_and_as_a_copy(governed: SignedVersion, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(governed.folder / "model", copy)
    for ref in ("nsfw/1", "registry:nsfw/1", governed.folder, governed.folder / "model", str(copy)):
        pipe = mace_gov.load(ref, key=governed.key, registry=governed.registry, device="cpu")
        assert type(pipe).__name__ == "StableDiffusionPipeline"
        assert not any(weight.requires_grad for weight in pipe.unet.parameters())


@pytest.mark.parametrize("ref", ["nsfw/1", "model", "copy"])
@pytest.mark.usefixtures("never")
def test_changed_weights_are_refused_before_they_are_loaded(
    governed: SignedVersion, tmp_path: Path, ref: str
) -> None:
    places = {"nsfw/1": governed.folder / "model", "model": governed.folder / "model", "copy": tmp_path / "copy"}
    if ref == "copy":
        shutil.copytree(governed.folder / "model", places[ref])
    weights = places[ref] / WEIGHTS
    weights.write_bytes(weights.read_bytes()[:-1] + b"\x01")
    with pytest.raises(IntegrityError, match="diffusion_pytorch_model"):
        mace_gov.load("nsfw/1" if ref == "nsfw/1" else places[ref], key=governed.key, registry=governed.registry)


@pytest.mark.usefixtures("never")
def test_another_key_and_a_model_that_nobody_governed_are_refused(
    governed: SignedVersion, tmp_path: Path, tiny_model: Path, half_model: Path
) -> None:
    stranger = factories.version_folder(tmp_path / "stranger")
    with pytest.raises(IntegrityError, match="expected"):
        mace_gov.load("nsfw/1", key=stranger.key, registry=governed.registry)
    with pytest.raises(IntegrityError, match="no evidence for this model"):
        mace_gov.load(half_model, key=governed.key, registry=governed.registry)
    for ref in ("embedded", "nsfw/7", tmp_path / "nowhere"):
        with pytest.raises(UsageError):
            mace_gov.load(ref, key=governed.key, registry=governed.registry)


@pytest.mark.parametrize("outcome, code", [("FAIL", 1), ("REVIEW", 5)])
@pytest.mark.usefixtures("never")
def test_a_verdict_that_does_not_pass_is_refused_with_its_code(
    tmp_path: Path, tiny_model: Path, outcome: str, code: int
) -> None:
    made = version(tmp_path, tiny_model, outcome=outcome)
    with pytest.raises(NotReleasedError, match=f"its verdict is {outcome}") as refused:
        mace_gov.load("nsfw/1", key=made.key, registry=made.registry)
    assert refused.value.exit_code == code


def test_a_reviewers_approval_lets_it_through(tmp_path: Path, tiny_model: Path) -> None:
    made = version(tmp_path, tiny_model, outcome="REVIEW")
    generate_key(tmp_path / "ada.pem")
    pin(made.registry, load_key_pair(tmp_path / "ada.pem").public, role=Role.REVIEWER, name="Ada")
    written, _ = signing_off.sign_off_path(
        made.folder, ReviewerDecision(Decision.APPROVE, "Ada", "safety", "looked"), signing_key=tmp_path / "ada.pem",
        key=None, registry=made.registry,
    )
    assert written.parent == made.folder / "sign-offs"
    assert mace_gov.load("nsfw/1", registry=made.registry, device="cpu").unet is not None
    # Who pins the pipeline's key alone knows no reviewer.
    with pytest.raises(NotReleasedError):
        mace_gov.load("nsfw/1", key=made.key, registry=made.registry)


def test_a_folder_that_is_swapped_after_verification_and_back_is_never_loaded(
    governed: SignedVersion, half_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    unet, kept = governed.folder / "model" / "unet", tmp_path / "kept"
    verify_path = guarded.checking.verify_path

    def swap(*arguments: object, **options: object) -> object:
        verified = verify_path(*arguments, **options)
        unet.rename(kept)
        shutil.copytree(half_model / "unet", unet)
        return verified

    monkeypatch.setattr(guarded.checking, "verify_path", swap)
    with pytest.raises(IntegrityError, match=f"changed after it was verified: {WEIGHTS}"):
        mace_gov.load("nsfw/1", key=governed.key, registry=governed.registry)


def test_what_is_loaded_is_a_private_copy_of_the_signed_bytes(
    governed: SignedVersion, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen, real = {}, loading.load_pipeline

    def load_pipeline(folder: Path, **options: object) -> object:
        shutil.rmtree(governed.folder / "model")  # whatever happens there now no longer counts
        seen.update(folder=folder, mode=folder.stat().st_mode & 0o777, files=folder_files(folder))
        return real(folder, **options)

    monkeypatch.setattr(loading, "load_pipeline", load_pipeline)
    mace_gov.load("nsfw/1", key=governed.key, registry=governed.registry)
    assert seen["files"] == governed.evidence.erasure.governed_files
    assert seen["mode"] == 0o700 and not seen["folder"].exists()


def drawn(pipe, monkeypatch: pytest.MonkeyPatch, *arguments: object, **options: object) -> tuple[int, float]:
    """Steps and guidance that a call of a loaded pipeline draws with."""
    seen: list[int] = []
    set_timesteps = type(pipe.scheduler).set_timesteps
    with monkeypatch.context() as patch:
        patch.setattr(type(pipe.scheduler), "set_timesteps",
                      lambda self, steps, **rest: (seen.append(steps), set_timesteps(self, steps, **rest))[1])
        pipe("a cat", *arguments, **options, output_type="latent")
    return seen[0], pipe.guidance_scale


def test_a_loaded_version_draws_with_the_sampler_that_it_was_judged_by_unless_a_call_says(
    governed: SignedVersion, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    judged = governed.evidence.plan.generation
    pipe = mace_gov.load("nsfw/1", key=governed.key, registry=governed.registry, device="cpu")
    assert (judged.steps, judged.guidance) != (50, 7.5), "a pipeline's own"
    assert drawn(pipe, monkeypatch) == (judged.steps, judged.guidance)
    assert drawn(pipe, monkeypatch, None, None, 2) == (2, judged.guidance)
    assert drawn(pipe, monkeypatch, num_inference_steps=3, guidance_scale=2.0) == (3, 2.0)
    pipe.save_pretrained(tmp_path / "saved")
    assert type(type(pipe).from_pretrained(tmp_path / "saved")).__name__ == "StableDiffusionPipeline"
    assert drawn(loading.load_pipeline(tmp_path / "saved", device="cpu"), monkeypatch) == (50, 7.5)


def _generate(monkeypatch: pytest.MonkeyPatch, *arguments: object) -> int:
    monkeypatch.setattr(sys, "argv", ["mace-gov", "generate", *map(str, arguments)])
    with pytest.raises(SystemExit) as ended:
        main()
    return ended.value.code


def test_generate_draws_with_a_verified_version_and_with_another_only_when_told(
    governed: SignedVersion, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    common = ("--registry", governed.registry, "--key", governed.key, "--device", "cpu", "--out", tmp_path / "out")
    assert _generate(monkeypatch, "nsfw/1", "a cat", *common) == 0
    assert (tmp_path / "out" / "00000.png").is_file()
    shutil.rmtree(tmp_path / "out")
    weights = governed.folder / "model" / "text_encoder" / "config.json"
    weights.write_bytes(weights.read_bytes() + b"\n")
    for ref in ("nsfw/1", governed.folder / "model"):
        assert _generate(monkeypatch, ref, "a cat", *common) == 4
        assert "text_encoder/config.json" in capsys.readouterr().err
        assert not (tmp_path / "out").exists()
    assert _generate(monkeypatch, governed.folder / "model", "a cat", *common, "--unverified") == 0
    assert "was not verified" in capsys.readouterr().err
    assert (tmp_path / "out" / "00000.png").is_file()


def test_generate_draws_with_the_sampler_that_a_version_was_judged_by_unless_an_option_says(
    governed: SignedVersion, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    seen = []
    monkeypatch.setattr("mace_gov.diffusion.generate.draw",
                        lambda *given, **_: seen.append(given[3]) or [Image.new("RGB", (8, 8))])
    common = ("a cat", "--registry", governed.registry, "--key", governed.key, "--device", "cpu",
              "--out", tmp_path / "out")
    for options in ((), ("--steps", 3), ("--guidance", 2.5), ("--unverified",)):
        place = governed.folder / "model" if options == ("--unverified",) else "nsfw/1"
        _generate(monkeypatch, place, *common, *options)
    judged = governed.evidence.plan.generation
    assert seen[0] == judged and seen[1] == judged.model_copy(update={"steps": 3})
    assert seen[2] == judged.model_copy(update={"guidance": 2.5})
    assert seen[3].guidance == vocabulary().sampler.guidance != judged.guidance


@pytest.mark.usefixtures("never")
def test_generate_verifies_what_the_reference_names_wherever_its_files_lie(
    governed: SignedVersion, tiny_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    common = ("--key", governed.key, "--device", "cpu", "--out", tmp_path / "out")
    shutil.rmtree(governed.folder / "model")
    (governed.folder / "model").symlink_to(tiny_model)
    for ref in ("nsfw/1", "registry:nsfw/1", governed.folder, governed.folder / "model"):
        assert _generate(monkeypatch, ref, "a cat", *common, "--registry", governed.registry) == 4
        assert not (tmp_path / "out").exists()
    capsys.readouterr()
    for ref in ("nsfw/1", "registry:nsfw/1", "nsfw/9"):
        assert _generate(monkeypatch, ref, "a cat", *common, "--registry", tmp_path / "mistyped") == 2
        assert "mistyped" in capsys.readouterr().err


def test_versions_on_another_disk_still_verify_and_draw(
    governed: SignedVersion, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    versions = governed.registry / "versions"
    versions.rename(tmp_path / "elsewhere")
    versions.symlink_to(tmp_path / "elsewhere")
    common = ("--registry", governed.registry, "--key", governed.key, "--device", "cpu", "--out", tmp_path / "out")
    assert _generate(monkeypatch, "nsfw/1", "a cat", *common) == 0
    weights = tmp_path / "elsewhere" / "nsfw" / "1" / "model" / WEIGHTS
    weights.write_bytes(weights.read_bytes()[:-1] + b"\x01")
    assert _generate(monkeypatch, "nsfw/1", "a cat", *common) == 4
