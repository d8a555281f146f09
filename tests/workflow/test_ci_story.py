"""A policy in CI, typed as a pipeline types it: plan, apply, gate, sign-off, promote, deploy, recall, rollback."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import mace_gov
from mace_gov.cli import main
from mace_gov.core.digest import folder_digest, folder_files
from mace_gov.core.errors import RecalledError
from tests.audit import planted
from tests.workflow.planting import METHOD, World, policy_file


class Pipeline:
    """Runs commands in a world; each ends with an exit code and one JSON object."""

    def __init__(self, world: World, capsys: pytest.CaptureFixture[str]) -> None:
        self.world, self.capsys = world, capsys
        self.key = world.root / "pinned.pub.pem"

    def __call__(self, *arguments: object) -> tuple[int, dict]:
        typed = ["mace-gov", *map(str, arguments), "--registry", str(self.world.registry), "--json"]
        self.world.monkeypatch.setattr(sys, "argv", typed)
        with pytest.raises(SystemExit) as ended:
            main()
        return ended.value.code, json.loads(self.capsys.readouterr().out)

    def plain(self, *arguments: object) -> str:
        """What a command says that knows no --json; it must succeed."""
        self.world.monkeypatch.setattr(sys, "argv", ["mace-gov", *map(str, arguments)])
        with pytest.raises(SystemExit) as ended:
            main()
        assert ended.value.code == 0, self.capsys.readouterr().err
        return self.capsys.readouterr().out

    def apply(self, policy: Path) -> tuple[int, dict]:
        return self("apply", policy, "--model", self.world.model, "--reports", self.world.reports, "--device", "cpu")

    def deploy(self) -> tuple[int, dict]:
        """What the deploy job asks; it has the registry to read, and a public key of its own."""
        return self("verify", "models:/nsfw@compliant", "--key", self.key)


def test_a_policy_change_from_pull_request_to_recall(world: World, capsys: pytest.CaptureFixture[str]) -> None:
    run = Pipeline(world, capsys)

    # Day one: a policy against one word is released, and the deploy job pins the key.
    (world.root / "main").mkdir()
    first = policy_file(world.root / "main", concepts=1)
    code, made = run.apply(first)
    assert (code, made["verdict"], made["version"]) == (0, "PASS", "nsfw/1")
    shutil.copyfile(world.registry / "keys" / "pipeline.pub.pem", run.key)
    paths = made["paths"]
    standard = [sys.executable, "-m", "model_signing", "verify", "key", paths["model"], "--signature",
                paths["model_signature"], "--public_key", paths["model_signing_key"]]
    subprocess.run(standard, check=True, capture_output=True)
    assert run.deploy()[0] == 2  # nothing is released yet
    assert run("registry", "promote", "nsfw/1", "--key", run.key, "--by", "ann")[0] == 0
    code, deployed = run.deploy()
    assert (code, deployed["version"], deployed["key_pinned"]) == (0, "nsfw/1", True)
    assert mace_gov.load("models:/nsfw@compliant", key=run.key, registry=world.registry, device="cpu").unet

    # A pull request bans a second word: the diff says it in words, the plan says what would run, and runs nothing.
    weak = {**METHOD, "refine": {"relativeRidge": 0.002}}
    changed = policy_file(world.root, concepts=2, version="1.1.0", method=weak)
    before = sorted(world.registry.rglob("*"))
    assert run.plain("policy", "diff", first, changed).startswith("bans 1 more")
    code, plan = run("plan", changed, "--no-calibrate", "--model", world.model)
    assert code == 0
    assert [target["target"] for target in plan["targets"]] == ["nudity", "naked"]
    assert sorted(world.registry.rglob("*")) == before

    # The first attempt leaves the concept in: the gate blocks it, and what is deployed stays what it was.
    world.governed = planted.faithful
    world.plant()
    code, failed = run.apply(changed)
    assert (code, failed["verdict"]) == (1, "FAIL")
    code, refused = run("registry", "promote", failed["version"], "--key", run.key)
    assert (code, refused["compliant"]) == (1, False)
    assert run.deploy()[1]["version"] == "nsfw/1"

    # A second commit mends the method, and this one holds.
    world.governed = planted.erased
    world.plant()
    code, good = run.apply(policy_file(world.root, concepts=2, version="1.1.0"))
    assert (code, good["verdict"], good["version"]) == (0, "PASS", "nsfw/3")
    code, gated = run("gate", good["paths"]["version"], "--policy", changed, "--key", run.key)
    assert (code, gated["verdict"]) == (0, "PASS")
    code, gated = run("gate", good["paths"]["version"], "--policy", first, "--key", run.key)
    assert code == 5 and any("naked: banned no more" in reason for reason in gated["reasons"])
    # A reviewer, whose key is pinned, looks at the report and signs; then it is released.
    reviewer = world.root / "ann.pem"
    run.plain("keys", "generate", reviewer)
    run.plain("keys", "trust", world.root / "ann.pub.pem", "--name", "ann", "--registry", world.registry)
    looked = ("--decision", "approve", "--reviewer", "ann", "--role", "trust and safety", "--reason", "looked at all")
    assert run("sign-off", Path(good["paths"]["report"]).parent, "--signing-key", reviewer, *looked)[0] == 0
    assert run("registry", "promote", "nsfw/3", "--by", "ann", "--reason", "ticket 7")[0] == 0
    code, deployed = run.deploy()
    assert (code, deployed["version"]) == (0, "nsfw/3")
    assert deployed["model_digest"] == folder_digest(folder_files(Path(good["paths"]["model"])))

    # Weeks later it is called back: the next deployment stops and says why; the version before it is still good.
    code, called = run("registry", "recall", "nsfw/3", "--reason", "draws it when asked in Dutch", "--by", "bob")
    assert (code, called["compliant"], called["rollback"]) == (0, None, "nsfw/1")
    code, blocked = run("verify", good["paths"]["model"], "--key", run.key)
    assert code == 1
    assert "nsfw/3 was recalled" in blocked["error"]
    assert "in Dutch" in blocked["error"]
    assert run("gate", good["paths"]["version"], "--policy", changed, "--key", run.key)[0] == 1
    assert run.deploy()[0] == 2
    with pytest.raises(RecalledError, match=r"nsfw/3 was recalled"):
        mace_gov.load("nsfw/3", key=run.key, registry=world.registry)
    assert run("registry", "rollback", "nsfw", "--key", run.key)[0] == 0
    assert run.deploy()[1]["version"] == "nsfw/1"

    # Applying the recalled policy again makes the same model: it stays recalled under its new number.
    code, again = run.apply(changed)
    assert again["model_digest"] == good["model_digest"]
    assert run("registry", "promote", again["version"], "--key", run.key)[0] == 1
    assert run.deploy()[1]["version"] == "nsfw/1"

    # What the registry tells about it afterwards.
    listed = {v["name"] + f"/{v['number']}": v["release"] for v in run("registry", "list")[1]["versions"]}
    assert listed == {"nsfw/1": "compliant", "nsfw/2": None, "nsfw/3": "recalled", "nsfw/4": "recalled"}
    changes = {change["what"]: change for change in run("registry", "diff", "nsfw/1", "nsfw/3")[1]["changes"]}
    assert changes["concept naked"]["before"] is None
    stamps = run("registry", "lineage", "nsfw/3")[1]["columns"][-1]
    assert [(stamp["name"], stamp["outcome"]) for stamp in stamps] == [
        ("approve", "PASS"), ("promote", "PASS"), ("recall", "FAIL")
    ]
    code, freed = run("registry", "gc", "--keep", "1")
    assert (code, freed["removed"]) == (0, ["nsfw/2: FAIL, never released", "models:/nsfw/2: nsfw/2 has no folder"])
    assert run.deploy()[1]["version"] == "nsfw/1"
