"""The forgery campaign: whatever an attacker without the keys does to a folder, it is refused with exit 4 and named.

An attack draws a place (a version, a report or a copy of the model), a file in it and a way to forge it. Which files an
attacker cannot name in advance is for hypothesis to find.
"""

from __future__ import annotations

import base64
import json
import os
import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mace_gov.attest.dsse import seal
from mace_gov.attest.keypair import KeyPair, generate_key, load_key_pair
from mace_gov.attest.keys import ensure_key_pair, ensure_model_pair, pin, registry_trust
from mace_gov.attest.model_signature import model_signature
from mace_gov.attest.sign_off import sign_off
from mace_gov.attest.trust import Trust
from mace_gov.attest.verify import verify
from mace_gov.core.canonical import canonical_json
from mace_gov.core.errors import IntegrityError
from mace_gov.documents.sign_off import Decision
from mace_gov.documents.trust import Role
from tests import factories
from tests.attest.json_edits import Draw, edit, places


@dataclass(frozen=True)
class Range:
    """What is attacked: two signed versions of one policy, a report, sign-offs, and the keys of a stranger."""

    root: Path
    trust: Trust
    stranger: KeyPair
    stranger_model: KeyPair

    def copy(self, to: Path) -> Path:
        """Links are enough: whoever writes here takes the old file away first, see ``_write``."""
        shutil.copytree(self.root, to, dirs_exist_ok=True, copy_function=os.link)
        return to


@pytest.fixture(scope="module")
def target(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Range]:
    with pytest.MonkeyPatch.context() as patch:
        # The base is no part of what is attacked, and the embedded one takes a while to re-hash.
        patch.setattr("mace_gov.attest.verify.MODEL_DIR", tmp_path_factory.mktemp("base"))
        yield _range(tmp_path_factory)


def _range(tmp_path_factory: pytest.TempPathFactory) -> Range:
    root = tmp_path_factory.mktemp("range")
    first = factories.version_folder(root, complete=True)
    factories.version_folder(root, number=2, complete=True, created="2026-11-02T12:00:00Z", weights=b"other weights")
    report = factories.report_folder(root, first)
    keys = tmp_path_factory.mktemp("keys")
    generate_key(keys / "reviewer.pem")
    reviewer = load_key_pair(keys / "reviewer.pem")
    pin(first.registry, reviewer.public, role=Role.REVIEWER, name="Ada")
    for number in ("1", "2"):
        verified = verify(first.folder.with_name(number), key=registry_trust(first.registry))
        sign_off(verified, reviewer, decision=Decision.APPROVE, reviewer="Ada", role="safety", reason="looked")
    shutil.copytree(first.folder / "model", root / "copy")
    trust = registry_trust(first.registry)
    for place in ("registry/versions/nsfw/1", "reports/nsfw-v1", "copy"):
        verify(root / place, key=trust, registry=first.registry)
    assert report == root / "reports/nsfw-v1"
    return Range(root, trust, ensure_key_pair(keys / "stranger"), ensure_model_pair(keys / "stranger"))


def _write(path: Path, data: bytes) -> None:
    path.unlink(missing_ok=True)
    path.write_bytes(data)


def _flip(data: bytes, draw: Draw) -> bytes:
    at = draw(st.integers(0, len(data) - 1))
    return data[:at] + bytes([data[at] ^ (1 << draw(st.integers(0, 7)))]) + data[at + 1:]


def _truncate(data: bytes, draw: Draw) -> bytes:
    return data[:draw(st.integers(0, len(data) - 1))]


def _append(data: bytes, draw: Draw) -> bytes:
    return data + draw(st.one_of(st.just(b"\n"), st.just(data), st.binary(min_size=1, max_size=8)))


def _insert(data: bytes, draw: Draw) -> bytes:
    # Never in front of the same byte: that would be the same file.
    at = draw(st.integers(0, len(data) - 1))
    return data[:at] + bytes([data[at] ^ 0x20]) + data[at:]


BYTES = {"flip": _flip, "truncate": _truncate, "append": _append, "insert": _insert}


def _forge_envelope(data: bytes, draw: Draw, target: Range) -> bytes:
    """An envelope with another payload, another signature, another key, or more of them."""
    envelope = json.loads(data)
    payload = json.loads(base64.b64decode(envelope["payload"]))
    signature = envelope["signatures"][0]
    way = draw(st.sampled_from(["field", "resigned", "lying", "twice", "both", "none", "loose", "envelope"]))
    if way == "field":
        envelope["payload"] = base64.b64encode(canonical_json(edit(payload, draw))).decode()
    elif way == "envelope":
        envelope = edit(envelope, draw)
    elif way == "none":
        envelope["signatures"] = []
    elif way == "twice":
        envelope["signatures"] = [signature, signature]
    elif way == "loose":
        return json.dumps(envelope, indent=draw(st.integers(0, 4))).encode()
    else:
        changed = edit(payload, draw) if draw(st.booleans()) else payload
        made = seal(canonical_json(changed), target.stranger).to_json()
        if way == "lying":
            made["signatures"][0]["keyid"] = signature["keyid"]
        if way == "both":
            made["signatures"].append(signature)
        envelope = made
    return canonical_json(envelope)


def _forge_json(data: bytes, draw: Draw, target: Range) -> bytes:
    edited = edit(json.loads(data), draw)
    return canonical_json(edited) if draw(st.booleans()) else json.dumps(edited).encode()


def _files(folder: Path) -> list[str]:
    return factories.all_files(folder)


def _attack(draw: Draw, target: Range, root: Path) -> tuple[Path, str]:
    """Forge something below ``root``; the folder to verify, and what the refusal must name."""
    place = root / draw(st.sampled_from(["registry/versions/nsfw/1", "registry/versions/nsfw/1", "reports/nsfw-v1",
                                         "copy"]))
    name = draw(st.sampled_from(_files(place)))
    path = place / name
    data = path.read_bytes()
    ways = [*BYTES, "remove", "add", "rename", "swap"]
    if name.endswith(".dsse.json"):
        ways += ["envelope"] * 6
    elif path.suffix == ".json" and places(json.loads(data)):
        ways += ["json"] * 3
    if name == "model.sig":
        ways += ["model signature"] * 3
    if place.name == "1":
        ways += ["replay"] * 2
    way = draw(st.sampled_from(ways))
    sign_off_file = name.startswith("sign-offs/")
    if way in BYTES:
        _write(path, BYTES[way](data, draw))
    elif way == "remove" and not sign_off_file:  # what nobody signed off is as if it had never been
        path.unlink()
    elif way == "rename":
        path.rename(path.with_name(f"{path.name}.bak"))
        name = f"{name}.bak" if sign_off_file else name
    elif way == "swap":
        other = place / draw(st.sampled_from([o for o in _files(place) if (place / o).read_bytes() != data]))
        _write(path, other.read_bytes())
        name = path.name if not sign_off_file else "sign-offs/"
    elif way == "replay":
        twin = place.with_name("2") / name
        if name.startswith("sign-offs/") or (twin.exists() and twin.read_bytes() != data):
            _write(path, twin.read_bytes())
        else:  # the same in both versions: bring the other version's weights along instead
            name = "model/unet/diffusion_pytorch_model.safetensors"
            _write(place / name, (place.with_name("2") / name).read_bytes())
    elif way == "envelope":
        _write(path, _forge_envelope(data, draw, target))
    elif way == "json":
        _write(path, _forge_json(data, draw, target))
    elif way == "model signature":
        _write(path, model_signature(factories.digests(factories.MODEL_FILES), target.stranger_model))
    else:
        name = draw(st.sampled_from(["more.bin", "unet/more.safetensors", ".hidden", "model/more", "sign-offs/more"]))
        (place / name).parent.mkdir(exist_ok=True)
        _write(place / name, data)
    return place, name


def _refused(draw: Draw, target: Range) -> None:
    with tempfile.TemporaryDirectory() as folder:
        root = target.copy(Path(folder))
        place, name = _attack(draw, target, root)
        with pytest.raises(IntegrityError) as refused:
            verify(place, key=target.trust, registry=root / "registry")
        assert refused.value.exit_code == 4
        assert Path(name).name in refused.value.message or "no evidence for this model" in refused.value.message


CAMPAIGN = {"deadline": None, "suppress_health_check": list(HealthCheck)}


@settings(max_examples=100, derandomize=True, **CAMPAIGN)
@given(data=st.data())
def test_a_hundred_forgeries_are_refused(target: Range, data: st.DataObject) -> None:
    _refused(data.draw, target)


@pytest.mark.nightly
@settings(max_examples=1000, **CAMPAIGN)
@given(data=st.data())
def test_a_thousand_forgeries_are_refused(target: Range, data: st.DataObject) -> None:
    _refused(data.draw, target)
