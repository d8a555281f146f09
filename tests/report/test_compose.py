"""Compose: documents that belong together, and commands that a stranger can run."""

from __future__ import annotations

import shutil
import subprocess

import pytest

from mace_gov.attest.verify import verify
from mace_gov.core.errors import IntegrityError
from mace_gov.documents.evidence import EVIDENCE_TYPE
from mace_gov.report.compose import compose
from tests import factories


@pytest.fixture
def signed(tmp_path):
    return factories.version_folder(tmp_path)


@pytest.fixture
def verified(signed):
    return verify(signed.folder, key=signed.key, registry=signed.registry)


def test_report_holds_what_was_asked_seen_and_decided(signed, verified):
    report = compose(signed.policy, verified, signed.verdict, version="nsfw/1", folder="registry/versions/nsfw/1")
    assert report.title == "nsfw 1.0.0, governed version nsfw/1"
    assert (report.policy, report.verdict) == (signed.policy, signed.verdict)
    assert report.evidence == verified.evidence
    assert report.keyid == verified.keyid
    assert report.checks == list(verified.checks) != []
    assert "mace-gov verify registry/versions/nsfw/1 --key pipeline.pub.pem" in report.how_to_verify
    assert "mace-gov verify reports/nsfw-v1 --key pipeline.pub.pem" in report.how_to_verify


@pytest.mark.parametrize("changed", ["policy_digest", "governed_digest", "evidence_digest"])
def test_verdict_on_something_else_is_refused(signed, verified, changed):
    other = signed.verdict.model_copy(update={changed: factories.hexa("something else")})
    with pytest.raises(IntegrityError, match=factories.hexa("something else")):
        compose(signed.policy, verified, other, version="nsfw/1")


def test_another_policy_is_refused(signed, verified):
    with pytest.raises(IntegrityError, match="the policy has digest"):
        compose(factories.policy(mode="audit"), verified, signed.verdict, version="nsfw/1")


def test_absolute_paths_of_this_machine_stay_out(signed, verified, tmp_path):
    report = compose(signed.policy, verified, signed.verdict, version="nsfw/1", folder=str(signed.folder))
    assert "mace-gov verify registry/versions/nsfw/1 --key pipeline.pub.pem" in report.how_to_verify
    assert not [line for line in report.how_to_verify if str(tmp_path) in line]


def test_a_model_made_elsewhere_names_its_report(signed, verified):
    report = compose(signed.policy, verified, signed.verdict, version=None, folder="registry/audits/nsfw/3")
    assert "mace-gov verify reports/nsfw-audit-3 --key pipeline.pub.pem" in report.how_to_verify
    assert "made elsewhere" in report.title


def test_folder_names_are_quoted(signed, verified):
    report = compose(signed.policy, verified, signed.verdict, version="nsfw/1", folder="my registry/versions/nsfw/1")
    assert "mace-gov verify 'my registry/versions/nsfw/1' --key pipeline.pub.pem" in report.how_to_verify


def test_a_model_signature_is_checked_with_the_standard_command_where_there_is_one(signed, verified, tmp_path):
    command = ("model_signing verify key registry/versions/nsfw/1/model --signature registry/versions/nsfw/1/model.sig "
               "--public_key model.pub.pem")
    assert command not in compose(signed.policy, verified, signed.verdict, version="nsfw/1").how_to_verify
    made = factories.version_folder(tmp_path, complete=True)
    found = verify(made.folder, key=made.key)
    assert command in compose(made.policy, found, made.verdict, version="nsfw/1").how_to_verify


@pytest.mark.skipif(not all(map(shutil.which, ("openssl", "sha256sum", "python3", "bash"))), reason="needs openssl")
def test_generic_tools_give_what_the_remarks_expect(signed, verified, tmp_path):
    """The commands that do without mace-gov, run as they stand."""
    shutil.copyfile(signed.key, tmp_path / "pipeline.pub.pem")
    (tmp_path / "reports/nsfw-v1").mkdir(parents=True)
    shutil.copyfile(signed.folder / "evidence.dsse.json", tmp_path / "reports/nsfw-v1/evidence.dsse.json")
    report = compose(signed.policy, verified, signed.verdict, version="nsfw/1")
    commands = [line for line in report.how_to_verify if not line.startswith(("#", "mace-gov", "model_signing"))]
    said = [
        subprocess.run(["bash", "-ec", command], cwd=tmp_path, capture_output=True, text=True, check=True).stdout
        for command in commands
    ]
    assert [line.split()[0] for line in said] == [
        verified.keyid, signed.verdict.evidence_digest, signed.verdict.governed_digest, EVIDENCE_TYPE
    ]
    assert "Verified Successfully" in said[-1]
    broken = (tmp_path / "reports/nsfw-v1/evidence.dsse.json").read_text().replace('"sig":"', '"sig":"AAAA', 1)
    (tmp_path / "reports/nsfw-v1/evidence.dsse.json").write_text(broken)
    assert subprocess.run(["bash", "-c", commands[-1]], cwd=tmp_path, capture_output=True).returncode != 0
