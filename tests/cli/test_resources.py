"""--batch, --dtype and --threads reach the work of every command that runs a model."""

from __future__ import annotations

import pytest

from mace_gov.core import resources
from mace_gov.core.errors import UsageError
from mace_gov.core.resources import asked

COMMANDS = {
    "apply": ("workflow.apply", ("policy.yaml",)),
    "audit": ("workflow.audit_model", ("model", "--policy", "policy.yaml")),
    "erase": ("workflow.erase_model", ("policy.yaml", "--out", "new")),
    "tune": ("workflow.settings_search.tune", ("policy.yaml",)),
    "compare": ("workflow.comparing.compare", ("policy.yaml",)),
    "generate": ("workflow.loading.generate_pictures", ("model", "a cat")),
}


@pytest.mark.parametrize("command", COMMANDS)
def test_they_hold_while_a_command_works_and_not_beyond(run, monkeypatch, command, tmp_path):
    monkeypatch.chdir(tmp_path)
    works, arguments = COMMANDS[command]
    seen, told = [], []
    monkeypatch.setattr(resources, "limit_threads", told.append)

    def work(*_arguments, **_options):
        seen.append((asked().batch, asked().precision))
        raise UsageError("seen")

    monkeypatch.setattr(f"mace_gov.{works}", work)
    assert run(command, *arguments)[0] == 2
    assert run(command, *arguments, "--batch", "3", "--dtype", "float16", "--threads", "2")[0] == 2
    assert seen == [(None, None), (3, "float16")] and told == [2]
    assert asked() == resources.Resources()


@pytest.mark.parametrize("option", [("--batch", "0"), ("--dtype", "float8"), ("--threads", "0")])
def test_what_cannot_be_is_refused(run, option):
    assert run("apply", "policy.yaml", *option)[0] == 2
