"""Verify holds on what was signed, and on nothing else."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest

from mace_gov.attest.dsse import seal
from mace_gov.attest.keys import ensure_key_pair
from mace_gov.attest.sign import collect_files, sign_evidence, sign_report, sign_summary
from mace_gov.attest.statement import evidence_statement, summary_statement
from mace_gov.attest.verify import Expectations, verify
from mace_gov.core.digest import folder_digest, sha256_file
from mace_gov.core.errors import IncompleteError, IntegrityError, UsageError
from mace_gov.documents.evidence import Statement
from tests import factories
from tests.factories import SignedVersion


@pytest.fixture
def signed(tmp_path: Path) -> SignedVersion:
    return factories.version_folder(tmp_path)


def test_a_version_verifies_and_brings_its_evidence_and_verdict(tmp_path: Path) -> None:
    signed = factories.version_folder(tmp_path, complete=True)
    verified = verify(signed.folder, key=signed.key, expected=Expectations(policy_file=signed.folder / "policy.yaml"))
    assert verified.evidence == signed.evidence
    assert verified.verdict == signed.verdict
    assert verified.evidence_digest == sha256_file(signed.folder / "evidence.dsse.json")
    assert verified.resource_uri == "mace-gov:nsfw/1"
    assert verified.folder == signed.folder
    order = ("evidence.dsse.json: signed by the pinned key", "verdict.dsse.json: signed by the pinned key",
             "files beside the model", "model/: 5 files", "model.sig (OpenSSF)", "provenance.dsse.json (SLSA)",
             "mlbom.cdx.json (CycloneDX)", "test-result.dsse.json (in-toto)", "speak about the model", "byte by byte",
             "rests on this evidence", "no trusted time", "base model")
    assert [word in check for word, check in zip(order, verified.checks, strict=True)] == [True] * len(order)


def test_a_model_inside_its_version_and_a_copy_that_the_registry_knows(signed: SignedVersion, tmp_path: Path) -> None:
    assert verify(signed.folder / "model", key=signed.key).evidence == signed.evidence
    copy = tmp_path / "copy"
    shutil.copytree(signed.folder / "model", copy)
    found = verify(copy, key=signed.key, registry=signed.registry)
    assert found.folder == signed.folder
    assert any("the copy of the model that was asked about: 5 files re-hashed" in check for check in found.checks)
    for registry in (None, tmp_path / "another"):
        with pytest.raises(IntegrityError, match="no evidence for this model"):
            verify(copy, key=signed.key, registry=registry)


def test_a_changed_copy_of_a_model_names_the_file_that_differs(signed: SignedVersion, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(signed.folder / "model", copy)
    (copy / "unet" / "config.json").write_bytes(b"{ }")
    with pytest.raises(IntegrityError, match=r"no evidence for this(.|\n)*unet/config\.json: differs from nsfw/1"):
        verify(copy, key=signed.key, registry=signed.registry)


def test_a_copy_is_good_only_if_the_evidence_about_it_holds(signed: SignedVersion, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(signed.folder / "model", copy)
    (signed.folder / "policy.yaml").write_bytes(b"changed")
    with pytest.raises(IntegrityError, match=r"policy\.yaml: digest is"):
        verify(copy, key=signed.key, registry=signed.registry)


def test_a_path_that_is_nothing_of_ours(signed: SignedVersion, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="is not a folder"):
        verify(tmp_path / "nowhere", key=signed.key)
    (tmp_path / "empty").mkdir()
    with pytest.raises(IntegrityError, match="no evidence in"):
        verify(tmp_path / "empty", key=signed.key)


def test_a_verdict_is_needed_unless_the_gate_has_yet_to_decide(tmp_path: Path) -> None:
    undecided = factories.version_folder(tmp_path, need_verdict=False)
    verified = verify(undecided.folder, key=undecided.key, need_verdict=False)
    assert verified.verdict is None
    with pytest.raises(IntegrityError, match=r"verdict\.dsse\.json: cannot be read"):
        verify(undecided.folder, key=undecided.key)


def test_a_bad_verdict_is_refused_even_where_none_is_needed(signed: SignedVersion) -> None:
    (signed.folder / "verdict.dsse.json").write_bytes(b"{}")
    with pytest.raises(IntegrityError, match=r"verdict\.dsse\.json"):
        verify(signed.folder, key=signed.key, need_verdict=False)


@pytest.mark.parametrize("outcome", ["FAIL", "REVIEW"])
def test_a_verdict_that_does_not_pass_is_still_intact(tmp_path: Path, outcome: str) -> None:
    failed = factories.version_folder(tmp_path, outcome=outcome)
    assert verify(failed.folder, key=failed.key).verdict.outcome == outcome


def test_another_key_is_refused(signed: SignedVersion, tmp_path: Path) -> None:
    other = ensure_key_pair(tmp_path / "other")
    with pytest.raises(IntegrityError, match=other.public.fingerprint):
        verify(signed.folder, key=other.public)


def test_envelopes_of_another_version_are_refused(signed: SignedVersion, tmp_path: Path) -> None:
    twin = factories.version_folder(tmp_path, number=2, created="2026-11-02T12:00:00Z")
    verify(twin.folder, key=twin.key)
    # One model, one policy, one key: only the versions differ.
    shutil.copyfile(twin.folder / "verdict.dsse.json", signed.folder / "verdict.dsse.json")
    with pytest.raises(IntegrityError, match="evidenceDigest(.|\n)*resourceUri is mace-gov:nsfw/2"):
        verify(signed.folder, key=signed.key)
    shutil.copyfile(twin.folder / "evidence.dsse.json", signed.folder / "evidence.dsse.json")
    with pytest.raises(IntegrityError, match="speaks about nsfw/2, but lies in the registry as nsfw/1"):
        verify(signed.folder, key=signed.key, registry=signed.registry)
    other = factories.version_folder(tmp_path, number=3, weights=b"other weights")
    shutil.copyfile(other.folder / "evidence.dsse.json", signed.folder / "evidence.dsse.json")
    with pytest.raises(IntegrityError, match=r"model/unet/diffusion_pytorch_model\.safetensors: digest is"):
        verify(signed.folder, key=signed.key)


def test_an_envelope_of_another_type_in_its_place_is_refused(signed: SignedVersion) -> None:
    shutil.copyfile(signed.folder / "evidence.dsse.json", signed.folder / "verdict.dsse.json")
    with pytest.raises(IntegrityError, match=r"verdict\.dsse\.json: predicate type is .*evidence/v1, expected"):
        verify(signed.folder, key=signed.key)


def test_an_edited_policy_is_refused(signed: SignedVersion, tmp_path: Path) -> None:
    local = tmp_path / "policy.yaml"
    local.write_bytes((signed.folder / "policy.yaml").read_bytes() + b"\n")
    with pytest.raises(IntegrityError, match=f"policy.yaml: the local policy {local} has digest"):
        verify(signed.folder, key=signed.key, expected=Expectations(policy_file=local))
    with pytest.raises(IntegrityError, match="cannot be read"):
        verify(signed.folder, key=signed.key, expected=Expectations(policy_file=tmp_path / "nowhere.yaml"))


def test_all_differences_come_at_once(signed: SignedVersion) -> None:
    (signed.folder / "model" / "unet" / "config.json").write_bytes(b"[]")
    (signed.folder / "model" / "unet" / "more.json").write_bytes(b"{}")
    (signed.folder / "delta" / "erasure.safetensors").unlink()
    with pytest.raises(IntegrityError) as refused:
        verify(signed.folder, key=signed.key)
    for line in ("model/unet/config.json: digest is", "model/unet/more.json: was not there",
                 "delta/erasure.safetensors: is missing"):
        assert line in refused.value.message


def test_links_are_refused_unless_they_stay_inside(signed: SignedVersion, tmp_path: Path) -> None:
    weights = signed.folder / "model" / "unet" / "diffusion_pytorch_model.safetensors"
    outside = tmp_path / "same"
    shutil.copyfile(weights, outside)
    weights.unlink()
    weights.symlink_to(outside)
    with pytest.raises(IntegrityError, match="is a link out of the folder"):
        verify(signed.folder, key=signed.key)
    weights.unlink()
    shutil.copyfile(outside, weights)
    (signed.folder / "model" / "extra").symlink_to(tmp_path, target_is_directory=True)
    with pytest.raises(IntegrityError, match="model/extra: is a link to no file"):
        verify(signed.folder, key=signed.key)


def test_times_ahead_of_the_clock_and_beyond_the_allowed_age_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    old = factories.version_folder(tmp_path / "old", created="2020-01-01T00:00:00Z")
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "1577836800")  # that very day: must not make it young
    verify(old.folder, key=old.key)
    with pytest.raises(IntegrityError, match="older than the 30 days"):
        verify(old.folder, key=old.key, expected=Expectations(max_age=timedelta(days=30)))
    for created, expected in (("2999-01-01T00:00:00Z", "ahead of the clock"), ("yesterday", "expected a time")):
        odd = factories.version_folder(tmp_path / created[:3], created=created)
        with pytest.raises(IntegrityError, match=expected):
            verify(odd.folder, key=odd.key)


def test_a_summary_for_one_use_is_no_pass_for_another(signed: SignedVersion) -> None:
    pair = ensure_key_pair(signed.registry)
    sign_summary(signed.folder, signed.evidence, signed.verdict, pair, resource_uri="https://example.com/preview")
    assert verify(signed.folder, key=signed.key, expected=Expectations(resource_uri="https://example.com/preview")).verdict
    with pytest.raises(IntegrityError, match="resourceUri is https://example.com/preview"):
        verify(signed.folder, key=signed.key, expected=Expectations(resource_uri="https://example.com/production"))


@pytest.mark.parametrize("changes, expected", [
    ({"plan": factories.plan(seed=1)}, r"erasure\.planDigest"),
    ({"plan": factories.plan(policy_digest=factories.hexa("another"))}, r"plan\.policyDigest"),
    ({"audit": factories.audit_result(base_digest=factories.hexa("another"))}, r"plan\.base\.digest"),
    ({"audit": factories.audit_result(policy_digest=factories.hexa("another"))}, r"audit\.policyDigest"),
    ({"erasure": factories.erasure(base_digest=factories.hexa("another"))}, r"erasure\.baseDigest"),
    ({"erasure": factories.erasure(governed_digest=factories.hexa("another"))}, r"erasure\.governedDigest"),
    ({"erasure": factories.erasure(delta_digest=factories.hexa("another"))}, "the erasure delta"),
    ({"lineage": factories.lineage(base_digest=factories.hexa("another"))}, r"lineage\.baseDigest"),
    ({"lineage": factories.lineage(governed_digest=factories.hexa("another"))}, r"lineage\.governedDigest"),
    ({"policy_file_digest": factories.hexa("another")}, r"files\['policy\.yaml'\]"),
])
def test_a_signature_on_a_contradiction_is_refused(signed: SignedVersion, changes: dict, expected: str) -> None:
    pair = ensure_key_pair(signed.registry)
    contradiction = factories.evidence(**{"created": factories.CREATED, **changes})
    sign_evidence(signed.folder, contradiction, pair)
    (signed.folder / "verdict.dsse.json").unlink()
    with pytest.raises(IntegrityError, match=expected):
        verify(signed.folder, key=signed.key, need_verdict=False)


@pytest.mark.parametrize("field", ["policy_digest", "governed_digest"])
def test_a_verdict_about_something_else_is_refused(tmp_path: Path, field: str) -> None:
    odd = factories.version_folder(tmp_path, **{field: factories.hexa("another")})
    with pytest.raises(IntegrityError, match=r"verdict\.dsse\.json: .*expected"):
        verify(odd.folder, key=odd.key)


def test_a_summary_is_not_signed_beside_other_evidence(signed: SignedVersion) -> None:
    other = factories.verdict(evidence_digest=factories.hexa("another"))
    with pytest.raises(IntegrityError, match="the verdict rests on"):
        sign_summary(signed.folder, signed.evidence, other, ensure_key_pair(signed.registry))


def test_the_base_is_re_hashed_where_it_is_at_hand(signed: SignedVersion, tmp_path: Path) -> None:
    base = signed.registry / "versions" / "plain" / "2" / "model"
    factories.write_files(base, factories.BASE_FILES)
    pair = ensure_key_pair(signed.registry)
    plan = factories.plan(base=factories.manifest(ref="registry:plain/2"))
    sign_evidence(signed.folder, factories.evidence(plan=plan, erasure=factories.erasure(plan=plan)), pair)
    (signed.folder / "verdict.dsse.json").unlink()

    def ancestor(registry: Path | None) -> str:
        return verify(signed.folder, key=signed.key, need_verdict=False, registry=registry).checks[-1]

    assert "5 files" in ancestor(signed.registry)
    assert "not at hand" in ancestor(None)
    (base / "unet" / "config.json").write_bytes(b"other")
    assert "was not compared" in ancestor(signed.registry)


def test_a_model_made_elsewhere_is_re_hashed_when_it_is_given(tmp_path: Path) -> None:
    model, folder = tmp_path / "elsewhere", tmp_path / "registry" / "audits" / "nsfw" / "1"
    factories.write_files(model, factories.MODEL_FILES)
    factories.write_files(folder / "evidence", factories.evidence_files())
    factories.write_files(folder, {"policy.yaml": factories.policy_yaml()})
    pair = ensure_key_pair(tmp_path / "registry")
    evidence = factories.evidence(erasure=None, lineage=None, files=collect_files(folder))
    with pytest.raises(IncompleteError, match="made elsewhere"):
        sign_evidence(folder, evidence, pair)
    files = factories.digests(factories.MODEL_FILES)
    envelope = sign_evidence(folder, evidence, pair, model_files=files)
    sign_summary(folder, evidence, factories.verdict(evidence_digest=sha256_file(envelope)), pair)
    assert any("not re-hashed: it lies elsewhere" in c for c in verify(folder, key=pair.public).checks)
    assert verify(folder, key=pair.public).resource_uri == f"mace-gov:sha256:{folder_digest(files)}"
    for found in (verify(folder, key=pair.public, model=model),
                  verify(model, key=pair.public, registry=tmp_path / "registry")):
        assert any("asked about: 5 files re-hashed" in c for c in found.checks)
    (folder / "model").mkdir()
    (folder / "model" / "smuggled").write_bytes(b"")
    with pytest.raises(IntegrityError, match="model/smuggled: was not there"):
        verify(folder, key=pair.public)
    shutil.rmtree(folder / "model")
    (model / "unet" / "config.json").write_bytes(b"[]")
    with pytest.raises(IntegrityError, match=r"unet/config\.json: digest is"):
        verify(folder, key=pair.public, model=model)


def test_a_report_verifies_alone_and_with_its_version(signed: SignedVersion, tmp_path: Path) -> None:
    report = factories.report_folder(tmp_path, signed)
    alone = verify(report, key=signed.key)
    assert alone.verdict == signed.verdict
    assert any("the model itself was not re-hashed" in check for check in alone.checks)
    together = verify(report, key=signed.key, registry=signed.registry)
    assert any("model/: 5 files re-hashed" in check for check in together.checks)
    (signed.folder / "model" / "unet" / "config.json").write_bytes(b"[]")
    with pytest.raises(IntegrityError, match=r"model/unet/config\.json"):
        verify(report, key=signed.key, registry=signed.registry)
    verify(report, key=signed.key)


def test_a_report_beside_another_registry_says_that_the_version_is_another(tmp_path: Path) -> None:
    report = factories.report_folder(tmp_path / "a", first := factories.version_folder(tmp_path / "a"))
    other = factories.version_folder(tmp_path / "b", weights=b"other weights")
    checks = verify(report, key=first.key, registry=other.registry).checks
    assert any("is another version, with other evidence" in check for check in checks)


@pytest.mark.parametrize("change", ["verdict", "evidence", "policy", "keyid", "version"])
def test_a_report_that_says_other_than_what_was_signed_is_refused(
    signed: SignedVersion, tmp_path: Path, change: str
) -> None:
    pair = ensure_key_pair(signed.registry)
    values = {
        "verdict": factories.verdict(outcome="FAIL"), "evidence": factories.evidence(created="2026-11-03T00:00:00Z"),
        "policy": factories.policy(mode="audit"), "keyid": factories.hexa("another"), "version": "nsfw/2",
    }
    good = {"policy": signed.policy, "evidence": signed.evidence, "verdict": signed.verdict,
            "keyid": pair.public.fingerprint, "version": "nsfw/1"}
    report = factories.report_folder(tmp_path, signed)
    made = factories.report(**{**good, change: values[change]})
    (report / "report.json").write_bytes(made.canonical())
    sign_report(report, pair)
    with pytest.raises(IntegrityError, match=rf"report\.json: (its )?{change}"):
        verify(report, key=signed.key)


def test_an_unfinished_report_is_not_signed(signed: SignedVersion, tmp_path: Path) -> None:
    report = factories.report_folder(tmp_path, signed)
    (report / "index.html").unlink()
    with pytest.raises(IncompleteError, match=r"index\.html: is missing"):
        sign_report(report, ensure_key_pair(signed.registry))


def test_verifying_needs_pydantic_and_cryptography_alone(tmp_path: Path) -> None:
    signed = factories.version_folder(tmp_path, complete=True)
    code = (
        "import sys, pathlib\n"
        "from mace_gov.attest.verify import verify\n"
        "assert verify(pathlib.Path(sys.argv[1]), key=pathlib.Path(sys.argv[2])).verdict.outcome == 'PASS'\n"
        "allowed = {'pydantic', 'pydantic_core', 'annotated_types', 'typing_extensions', 'typing_inspection',"
        " 'cryptography', 'cffi', '_cffi_backend', 'mace_gov', 'email_validator', 'dotenv'}\n"
        "third = {name.split('.')[0] for name, module in sys.modules.items()"
        " if 'site-packages' in str(getattr(module, '__file__', None))}\n"
        "print(*sorted(n for n in third - allowed if not n.startswith(('_', 'distutils'))))\n"
    )
    done = subprocess.run([sys.executable, "-c", code, str(signed.folder), str(signed.key)],
                          capture_output=True, text=True, check=False, cwd=Path(__file__).parents[2])
    assert (done.returncode, done.stdout.strip()) == (0, ""), done.stderr


def _seal(signed: SignedVersion, name: str, statement: Statement) -> None:
    (signed.folder / name).write_bytes(seal(statement.canonical(), ensure_key_pair(signed.registry)).canonical())


@pytest.mark.parametrize("change", [
    {"verificationResult": "FAILED"}, {"verifiedLevels": ["SLSA_LEVEL_3"]}, {"timeVerified": "2026-01-01T00:00:00Z"},
    {"policy": {"uri": "policy.yaml", "digest": {"sha256": factories.hexa("another")}}}, {"inputAttestations": []},
    {"resourceUri": "mace-gov:nsfw/2"},
])
def test_a_summary_that_says_other_than_the_verdict_in_it_is_refused(signed: SignedVersion, change: dict) -> None:
    good = summary_statement(signed.evidence, signed.verdict)
    _seal(signed, "verdict.dsse.json", good)
    verify(signed.folder, key=signed.key)
    _seal(signed, "verdict.dsse.json", good.model_copy(update={"predicate": {**good.predicate, **change}}))
    with pytest.raises(IntegrityError, match=rf"verdict\.dsse\.json: {next(iter(change))} is"):
        verify(signed.folder, key=signed.key)


@pytest.mark.parametrize("name, statement", [
    ("evidence.dsse.json", lambda signed: evidence_statement(signed.evidence)),
    ("verdict.dsse.json", lambda signed: summary_statement(signed.evidence, signed.verdict)),
])
def test_a_statement_about_another_subject_is_refused(
    tmp_path: Path, name: str, statement: Callable[[SignedVersion], Statement]
) -> None:
    signed = factories.version_folder(tmp_path, need_verdict=name == "verdict.dsse.json")
    good = statement(signed)
    first = good.subject[0].model_copy(update={"digest": {"sha256": factories.hexa("another")}})
    _seal(signed, name, good.model_copy(update={"subject": [first, *good.subject[1:]]}))
    with pytest.raises(IntegrityError, match=rf"{name}: subject is {factories.hexa('another')}"):
        verify(signed.folder, key=signed.key, need_verdict=False)


def test_a_subject_named_twice_is_refused(signed: SignedVersion) -> None:
    good = evidence_statement(signed.evidence)
    _seal(signed, "evidence.dsse.json", good.model_copy(update={"subject": [*good.subject, good.subject[-1]]}))
    with pytest.raises(IntegrityError, match="subjects named twice: model/unet/"):
        verify(signed.folder, key=signed.key)


def test_a_report_with_another_policy_file_is_refused(signed: SignedVersion, tmp_path: Path) -> None:
    report = factories.report_folder(tmp_path, signed)
    (report / "policy.yaml").write_bytes(b"other")
    sign_report(report, ensure_key_pair(signed.registry))
    with pytest.raises(IntegrityError, match=r"policy\.yaml: digest is .*, the evidence is about"):
        verify(report, key=signed.key)


def test_a_copy_of_a_governed_model_made_of_links_is_refused(signed: SignedVersion, tmp_path: Path) -> None:
    for name in factories.MODEL_FILES:
        link = tmp_path / "copy" / name
        link.parent.mkdir(parents=True, exist_ok=True)
        link.symlink_to(signed.folder / "model" / name)
    with pytest.raises(IntegrityError, match=r"copy/model_index\.json: is a link out of the folder"):
        verify(tmp_path / "copy", key=signed.key, registry=signed.registry)
