"""A policy in which every field has a value, another valid value for each of them, and the fields that there are.

Weights have none: they exclude scales.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator
from typing import Any

from pydantic import BaseModel

from mace_gov.documents.consistency import WEIGHTS
from mace_gov.documents.policy import Policy

Path = tuple[str | int, ...]
CATEGORY: Path = ("spec", "categories", 0)
CONCEPT: Path = (*CATEGORY, "concepts", 0)
METHOD: Path = ("spec", "method")

WAIVER = {"id": "WAIVER-001", "policy": "full", "loosens": "mode", "reason": "It is being mended.", "owner": "a",
          "approver": "b", "expiresAt": "2026-12-31"}
FULL: dict[str, Any] = {
    "apiVersion": "mace-gov/v1", "kind": "ErasurePolicy",
    "metadata": {"name": "full", "version": "1.0.0", "owner": "research", "reviewBy": "2027-06-01",
                 "description": "All of it."},
    "derivedFrom": [{"name": "company", "version": "2.0.0", "sha256": "0" * 64, "waivers": [WAIVER]}],
    "spec": {
        "mode": "enforce",
        "model": {"ref": "CompVis/stable-diffusion-v1-4", "revision": "abc", "sampler": {"steps": 30, "guidance": 7.5}},
        "method": {
            "name": "mace", "seed": 3,
            "refine": {"ridge": 0.1, "templates": ["a photo of {}"], "tokens": "all", "names": "all"},
            "lora": {"rank": 1, "steps": 100, "learningRate": 0.001, "images": 8, "sampling": "cfis",
                     "window": {"start": 200, "end": 400, "gamma": 0.05}, "masks": "segmenter", "init": "random"},
            "fuse": {"relativeRidge": 0.1},
            "preserve": {"prior": "general", "scale": 0.1, "concepts": ["a cat", "a dog"], "conceptScale": 0.1,
                         "namesakeScale": 0.1, "leak": 0.1, "refineScale": 0.1, "refineConceptScale": 0.1,
                         "priorSize": 700},
            "expansion": 3.0, "fit": {"pictures": 100, "minutes": 5},
            "guard": {"steps": 400, "rounds": 1, "searchSteps": 50, "pictures": 100, "learningRate": 0.001},
            "harden": {"rounds": 3, "searches": 2, "vectors": 1, "steps": 50},
            "esd": {"steps": 10, "batch": 2, "learningRate": 0.001, "guidance": 1.0, "startGuidance": 3.0},
            "segmenter": {"detector": "a/dino", "detectorRevision": "abc", "segmenter": "a/sam",
                          "segmenterRevision": "def", "threshold": 0.3},
        },
        "audit": {"prompts": 70, "seeds": 2, "unrelated": 100, "seed": 5, "templates": ["a drawing of {}"], "looks": 3,
                  "subjects": ["espresso machine", "walnut table", "ladle"],
                  "suites": ["paraphrase", "hierarchy"]},
        "categories": [{
            "id": "objects", "kind": "object", "severity": "medium",
            "concepts": [
                {"id": "ship", "target": "ship", "anchor": "sky", "synonyms": ["vessel", "boat"],
                 "descriptions": ["it sails", "it floats"], "broader": ["watercraft", "craft"],
                 "narrower": ["galleon", "frigate"], "translations": {"de": "Schiff", "fr": "navire"}},
                {"id": "truck", "target": "truck"},
            ],
            "neighbours": ["sailing shoe", "lake"],
            "detectors": [{"name": "clip", "classes": ["sea"], "threshold": 0.4, "model": "a/b", "revision": "abc",
                           "references": "faces", "only": "bans"}, {"name": "judge"}],
            "rules": [
                {"id": "OBJ-001", "suite": "direct", "metric": "presence", "atMost": 0.1, "confidence": 0.9,
                 "minSamples": 59},
                {"id": "OBJ-002", "suite": "near", "metric": "retention", "atLeast": 0.8},
            ],
        }],
        "gate": {"failOn": "medium", "onUncertain": "review", "notWaivable": ["high"]},
    },
}
OTHER: dict[Path, Any] = {
    ("metadata", "name"): "other", ("metadata", "version"): "1.0.1", ("metadata", "owner"): "ann",
    ("metadata", "reviewBy"): "2028-06-01", ("metadata", "description"): "Other words.",
    ("derivedFrom",): None,
    ("spec", "mode"): "audit", ("spec", "model", "ref"): "other/model", ("spec", "model", "revision"): None,
    (*METHOD, "name"): "uce", (*METHOD, "seed"): 4, (*METHOD, "refine"): {"ridge": 0.2}, (*METHOD, "lora"): {"rank": 2},
    (*METHOD, "fuse"): {"relativeRidge": 0.2}, (*METHOD, "esd"): None,
    (*METHOD, "segmenter"): {"detector": "b/dino", "segmenter": "b/sam"},
    (*METHOD, "harden"): {"rounds": 4}, (*METHOD, "guard"): {"steps": 500},
    (*METHOD, "preserve", "prior"): "none", (*METHOD, "preserve", "scale"): 0.2,
    (*METHOD, "preserve", "concepts"): ["a cat"], (*METHOD, "preserve", "conceptScale"): 0.2,
    (*METHOD, "preserve", "namesakeScale"): 0.2, (*METHOD, "preserve", "leak"): 0.2,
    (*METHOD, "preserve", "refineScale"): 0.2, (*METHOD, "preserve", "refineConceptScale"): 0.2,
    (*METHOD, "expansion"): 4.0,
    (*METHOD, "preserve", "priorSize"): 800, (*METHOD, "preset"): "paper", (*METHOD, "fit"): {"pictures": 50},
    (*METHOD, "preserve", "weight"): 0.2, (*METHOD, "preserve", "conceptWeight"): 0.2,
    (*METHOD, "preserve", "namesakeWeight"): 0.2, ("spec", "model", "sampler"): {"steps": 20},
    ("spec", "audit", "prompts"): 60, ("spec", "audit", "seeds"): 1, ("spec", "audit", "unrelated"): 50,
    ("spec", "audit", "seed"): 6, ("spec", "audit", "templates"): ["a sketch of {}"], ("spec", "audit", "looks"): None,
    ("spec", "audit", "suites"): ["paraphrase"], ("spec", "audit", "subjects"): ["ladle", "anvil", "wool blanket"],
    (*CATEGORY, "id"): "things", (*CATEGORY, "kind"): "style", (*CATEGORY, "severity"): "low",
    (*CATEGORY, "neighbours"): ["lake"],
    (*CONCEPT, "id"): "boat", (*CONCEPT, "target"): "a galley", (*CONCEPT, "anchor"): None,
    (*CONCEPT, "synonyms"): ["boat"], (*CONCEPT, "descriptions"): ["it sails"], (*CONCEPT, "broader"): ["craft"],
    (*CONCEPT, "narrower"): ["galleon"], (*CONCEPT, "translations"): {"de": "Schiff", "fr": "bateau"},
    (*CATEGORY, "detectors", 0, "name"): "face", (*CATEGORY, "detectors", 0, "classes"): ["sea", "land"],
    (*CATEGORY, "detectors", 0, "threshold"): 0.5, (*CATEGORY, "detectors", 0, "model"): "c/d",
    (*CATEGORY, "detectors", 0, "revision"): None, (*CATEGORY, "detectors", 0, "references"): "others",
    (*CATEGORY, "detectors", 0, "only"): "kept",
    (*CATEGORY, "rules", 0, "id"): "OBJ-009", (*CATEGORY, "rules", 0, "suite"): "synonym",
    (*CATEGORY, "rules", 0): {"id": "OBJ-001", "suite": "near", "metric": "retention", "atLeast": 0.1},
    (*CATEGORY, "rules", 0, "atMost"): 0.2, (*CATEGORY, "rules", 1, "atLeast"): 0.7,
    (*CATEGORY, "rules", 0, "confidence"): 0.8, (*CATEGORY, "rules", 0, "minSamples"): 50,
    ("spec", "gate", "failOn"): "high", ("spec", "gate", "onUncertain"): "fail", ("spec", "gate", "notWaivable"): [],
}
"""One other value for every field that a policy may differ in."""
NEUTRAL = {
    ("metadata", "name"), ("metadata", "version"), ("metadata", "owner"), ("metadata", "description"),
    *(path for path in OTHER if path[:2] == METHOD and path[-1] != "concepts"),
    (*CONCEPT, "id"), (*CONCEPT, "anchor"),
}
"""Of these neither side asks less."""
TIGHTER = {("spec", "gate", "onUncertain")}
"""Where the other value asks more."""


def changed(path: Path, value: Any) -> dict[str, Any]:
    """``FULL`` with another value at ``path``; None takes it out. A weight takes the place of all scales."""
    data = copy.deepcopy(FULL)
    if path[-1] in WEIGHTS:
        data["spec"]["method"]["preserve"] = {"concepts": ["a cat", "a dog"]}
    put(data, path, value)
    return data


def put(data: Any, path: Path, value: Any) -> None:
    """Set what is at ``path``; None takes it out."""
    for part in path[:-1]:
        data = data[part]
    if value is None:
        del data[path[-1]]
    else:
        data[path[-1]] = value


def models(model: type[BaseModel] = Policy) -> Iterator[type[BaseModel]]:
    """``model`` and every model that stands in it."""
    yield model
    for field in model.model_fields.values():
        for inner in _inner(field.annotation):
            yield from models(inner)


def _inner(annotation: Any) -> Iterator[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for part in getattr(annotation, "__args__", ()):
        yield from _inner(part)


def leaves(data: Any = None, at: Path = ()) -> Iterator[Path]:
    """The place of every scalar in ``FULL``."""
    data = FULL if data is None else data
    items = data.items() if isinstance(data, dict) else enumerate(data) if isinstance(data, list) else ()
    for key, item in items:
        yield from leaves(item, (*at, key)) if isinstance(item, dict | list) else [(*at, key)]
