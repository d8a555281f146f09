"""Ways to forge, for the campaign: on one file, or in what surrounds a folder that is left as it was signed."""

from __future__ import annotations

import base64
import json
import os
import shutil
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from hypothesis import strategies as st

from mace_gov.attest.dsse import seal
from mace_gov.attest.model_signature import model_signature
from mace_gov.core.canonical import canonical_json
from tests import factories
from tests.attest.forgery_target import COPY, ENDS, REPORT, SIGNED, VERSION, Range, write
from tests.attest.json_edits import Draw, edit, places

WAYS = {
    "flip": 10, "truncate": 8, "append": 8, "insert": 8, "remove": 6, "add": 6, "rename": 6, "swap": 6, "json": 8,
    "envelope": 20, "model signature": 2, "replay": 8, "whole version": 2, "all keys": 4, "resource": 4, "clock": 4,
    "expired": 4,
}
"""Each way to forge, and how many mutations of it are drawn in CI."""

NIGHTLY = 20
"""So many times as many in the nightly run: a thousand even by those ways alone that never run out."""

ENDLESS = ("flip", "truncate", "append", "insert", "json", "envelope")
"""Ways of which there are always more."""


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


@dataclass(frozen=True)
class Attack:
    """What was forged, and who asks how."""

    place: Path
    """The folder to verify."""
    named: str
    """What the refusal must name."""
    now: datetime | None = None
    """Where the clock was moved to."""
    asked: dict[str, Any] = field(default_factory=dict)
    """What the verifier asks for, beside the place."""
    exit_code: int = 4


def forge(way: str, draw: Draw, target: Range, root: Path) -> Attack:
    """Forge something below ``root``."""
    if way in CIRCUMSTANCES:
        return CIRCUMSTANCES[way](draw, target, root)
    place = root / (VERSION if way == "replay" else draw(st.sampled_from([VERSION, VERSION, REPORT, COPY])))
    suits = {
        "envelope": lambda name: name.endswith(".dsse.json"), "model signature": lambda name: name == "model.sig",
        "json": lambda name: name.endswith(".json") and not name.endswith(".dsse.json")
        and places(json.loads((place / name).read_bytes())),
    }.get(way, lambda name: True)
    names = [name for name in factories.all_files(place) if suits(name)]
    if not names:  # a copy of a model holds no such file
        place = root / VERSION
        names = [name for name in factories.all_files(place) if suits(name)]
    name = draw(st.sampled_from(names))
    path, sign_off_file = place / name, name.startswith("sign-offs/")
    data = path.read_bytes()
    if way in BYTES:
        write(path, BYTES[way](data, draw))
    elif way == "remove" and not sign_off_file:  # what nobody signed off is as if it had never been
        path.unlink()
    elif way == "rename":
        path.rename(path.with_name(f"{path.name}.bak"))
        name = f"{name}.bak" if sign_off_file else name
    elif way == "swap":
        others = [other for other in factories.all_files(place) if (place / other).read_bytes() != data]
        write(path, (place / draw(st.sampled_from(others))).read_bytes())
        name = path.name if not sign_off_file else "sign-offs/"
    elif way == "replay":
        twin = place.with_name("2") / name
        if not sign_off_file and not (twin.exists() and twin.read_bytes() != data):
            # The same in both versions: bring the other version's weights along instead.
            name = "model/unet/diffusion_pytorch_model.safetensors"
            path, twin = place / name, place.with_name("2") / name
        elif sign_off_file:
            twin = next(place.with_name("2").glob("sign-offs/*"))
        write(path, twin.read_bytes())
    elif way == "envelope":
        write(path, _forge_envelope(data, draw, target))
    elif way == "json":
        write(path, _forge_json(data, draw, target))
    elif way == "model signature":
        write(path, model_signature(factories.digests(factories.MODEL_FILES), target.stranger_model))
    else:
        name = draw(st.sampled_from(["more.bin", "unet/more.safetensors", ".hidden", "model/more", "sign-offs/more"]))
        (place / name).parent.mkdir(exist_ok=True)
        write(place / name, data)
    return Attack(place, name)


def _whole_version(draw: Draw, target: Range, root: Path) -> Attack:
    """A version in another one's place: intact, and not what was asked for."""
    one, other = draw(st.permutations(["1", "2", "3"]))[:2]
    place = (root / VERSION).with_name(one)
    shutil.rmtree(place)
    shutil.copytree(place.with_name(other), place, copy_function=os.link)
    return Attack(place, f"nsfw/{other}")


def _all_keys(draw: Draw, target: Range, root: Path) -> Attack:
    """Everything signed anew by a stranger, whose keys lie in the registry now; the verifier pinned others."""
    place = root / draw(st.sampled_from([VERSION, REPORT, COPY]))
    for folder in (root / VERSION, root / REPORT):
        for path in folder.glob("*.dsse.json"):
            payload = base64.b64decode(json.loads(path.read_bytes())["payload"])
            write(path, seal(payload, target.stranger).canonical())
    kept = draw(st.booleans())
    for path in (root / "registry" / "keys").iterdir():
        path.unlink()
    if kept:
        write(root / "registry" / "keys" / "pipeline.pub.pem", target.stranger.public.pem())
    return Attack(place, target.stranger.public.fingerprint)


def _resource(draw: Draw, target: Range, root: Path) -> Attack:
    """A good verdict shown where another resource was asked for."""
    own = "mace-gov:nsfw/1"
    other = draw(st.one_of(st.sampled_from(["mace-gov:nsfw/2", "mace-gov:nsfw/11", "", f"{own} ", own.upper()]),
                           st.text(max_size=40)).filter(lambda uri: uri != own))
    return Attack(root / draw(st.sampled_from([VERSION, REPORT, COPY])), "resourceUri", asked={"resource_uri": other})


def _clock(draw: Draw, target: Range, root: Path) -> Attack:
    """The clock was set back to before the signature, or the evidence is older than the verifier allows."""
    place, days = root / draw(st.sampled_from([VERSION, REPORT, COPY])), draw(st.integers(1, 20_000))
    if draw(st.booleans()):
        return Attack(place, "ahead of the clock here", now=SIGNED - timedelta(days=days))
    allowed = timedelta(days=draw(st.integers(0, days - 1)))
    return Attack(place, "older than", now=SIGNED + timedelta(days=days), asked={"max_age": allowed})


def _expired(draw: Draw, target: Range, root: Path) -> Attack:
    """The version that needs a waiver, after its end."""
    later = ENDS + timedelta(days=draw(st.integers(1, 20_000)))
    return Attack((root / VERSION).with_name("3"), "WAIVER-001", now=later, exit_code=1)


CIRCUMSTANCES = {"whole version": _whole_version, "all keys": _all_keys, "resource": _resource, "clock": _clock,
                 "expired": _expired}
