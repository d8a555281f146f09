"""What the forgery campaign attacks: signed versions, a report, a copy of a model, and the keys of a stranger."""

from __future__ import annotations

import os
import shutil
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from mace_gov import workflow
from mace_gov.attest.keypair import KeyPair, generate_key, load_key_pair
from mace_gov.attest.keys import ensure_key_pair, ensure_model_pair, pin, registry_trust
from mace_gov.attest.sign_off import ReviewerDecision, sign_off
from mace_gov.attest.trust import Trust
from mace_gov.attest.verify import verify
from mace_gov.core.clock import parse_time
from mace_gov.documents.sign_off import Decision
from mace_gov.documents.trust import Role
from mace_gov.documents.verdict import AppliedWaiver
from tests import factories

SIGNED = parse_time(factories.CREATED)
ENDS = datetime.now(UTC) + timedelta(days=30)
VERSION, REPORT, COPY = "registry/versions/nsfw/1", "reports/nsfw-v1", "copy"


@dataclass(frozen=True)
class Range:
    """What is attacked: three signed versions of one policy, a report, sign-offs, and the keys of a stranger.

    The third version was let through with a waiver.
    """

    root: Path
    trust: Trust
    stranger: KeyPair
    stranger_model: KeyPair

    def copy(self, to: Path) -> Path:
        """Links are enough: whoever writes here takes the old file away first, see ``write``."""
        shutil.copytree(self.root, to, dirs_exist_ok=True, copy_function=os.link)
        return to


def build_range(tmp_path_factory: pytest.TempPathFactory) -> Range:
    """All of it, verified."""
    root = tmp_path_factory.mktemp("range")
    first = factories.version_folder(root, complete=True)
    factories.version_folder(root, number=2, complete=True, created="2026-11-02T12:00:00Z", weights=b"other weights")
    waiver = AppliedWaiver(id="WAIVER-001", digest=factories.hexa("waiver"), limit=0.2, reason="soon", owner="ann",
                           approver="bob", expires_at=ENDS.date())
    factories.version_folder(root, number=3, complete=True, weights=b"weights that need a waiver",
                             findings=[factories.finding(), factories.finding(rule="NSFW-002", waiver=waiver)])
    report = factories.report_folder(root, first)
    keys = tmp_path_factory.mktemp("keys")
    generate_key(keys / "reviewer.pem")
    reviewer = load_key_pair(keys / "reviewer.pem")
    pin(first.registry, reviewer.public, role=Role.REVIEWER, name="Ada")
    for number in ("1", "2"):
        verified = verify(first.folder.with_name(number), key=registry_trust(first.registry))
        sign_off(verified, reviewer, ReviewerDecision(Decision.APPROVE, "Ada", "safety", "looked"))
    shutil.copytree(first.folder / "model", root / "copy")
    trust = registry_trust(first.registry)
    for place in (VERSION, REPORT, COPY, "registry/versions/nsfw/3"):
        workflow.verify_path(root / place, key=None, registry=first.registry)
    assert report == root / "reports/nsfw-v1"
    return Range(root, trust, ensure_key_pair(keys / "stranger"), ensure_model_pair(keys / "stranger"))


def write(path: Path, data: bytes) -> None:
    """Replace a file without touching what it was linked to."""
    path.unlink(missing_ok=True)
    path.write_bytes(data)
