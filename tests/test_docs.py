"""What the documentation says is what there is."""

import json
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from jsonschema import Draft202012Validator
from typer.main import get_command

from mace_gov.cli.app import app
from mace_gov.documents.method import Method
from mace_gov.policy.schema import policy_schema, waivers_schema

ROOT = Path(__file__).parents[1]
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), *ROOT.glob("training/*.md"),
                *ROOT.glob("mace_gov/embedded/*.md")])


def test_the_cli_reference_is_current():
    done = subprocess.run([sys.executable, "docs/generate_cli.py", "--check"], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


NAMES = [page.relative_to(ROOT).as_posix() for page in PAGES]


def blocks(page: Path) -> list[str]:
    """The indented blocks of a page, each without its indent; a command that goes on in the next line is one line."""
    found = re.findall(r"(?:^ {4}.*\n)+", page.read_text("utf-8"), re.MULTILINE)
    return [re.sub(r"^ {4}", "", block, flags=re.MULTILINE).replace("\\\n", " ") for block in found]


def anchors(page: Path) -> set[str]:
    """What a link into the page may name: its headings, as GitHub and MkDocs write them."""
    headings = re.findall(r"^#+ (.*)$", page.read_text("utf-8"), re.MULTILINE)
    return {re.sub(r"[\s]+", "-", re.sub(r"[^\w\s-]", "", heading.lower()).strip()) for heading in headings}


@pytest.mark.parametrize("page", PAGES, ids=NAMES)
def test_links_lead_somewhere(page):
    broken = []
    for target, anchor in re.findall(r"\]\(([^)#\s]*)#?([^)\s]*)\)", page.read_text(encoding="utf-8")):
        there = page.parent / target if target else page
        if not re.match(r"[a-z]+:", target) and (not there.exists() or anchor and anchor not in anchors(there)):
            broken.append((target, anchor))
    assert not broken


@pytest.mark.parametrize("page", PAGES, ids=NAMES)
def test_every_command_in_a_block_exists_with_its_options(page):
    if page.name in ("CHANGELOG.md", "cli.md"):  # the one tells of the past, the other is made from the commands
        return
    root = get_command(app)
    for line in (line for block in blocks(page) for line in block.splitlines() if line.startswith("mace-gov ")):
        words = [word.strip("[]") for word in shlex.split(line, comments=True)][1:]
        command = root
        while words and getattr(command, "commands", {}).get(words[0]):
            command = command.commands[words.pop(0)]
        assert not hasattr(command, "commands") or words[0].startswith("-"), line
        command.make_parser(command.context_class(command)).parse_args(words)


def test_what_is_no_command_or_option_would_be_found(tmp_path):
    for line in ("mace-gov aply x", "mace-gov plan x --modle y", "mace-gov registry promte x"):
        (tmp_path / "page.md").write_text(f"    {line}\n")
        with pytest.raises(Exception, match="aply|modle|promte"):
            test_every_command_in_a_block_exists_with_its_options(tmp_path / "page.md")


@pytest.mark.parametrize("page", PAGES, ids=NAMES)
def test_yaml_in_a_block_is_what_a_policy_takes(page):
    for block in blocks(page):
        if block.startswith("method:"):
            Method.model_validate(yaml.safe_load(block)["method"])
        elif block.startswith("apiVersion: mace-gov"):
            value = json.loads(json.dumps(yaml.safe_load(block), default=str))  # dates
            schema = waivers_schema() if value["kind"] == "Waivers" else policy_schema()
            found = [error for error in Draft202012Validator(schema).iter_errors(value) if "extends" not in value]
            assert not found, found
            assert value["kind"] in ("Waivers", "ErasurePolicy")


def test_the_site_has_every_page_and_no_other():
    config = yaml.safe_load((ROOT / "mkdocs.yml").read_text("utf-8"))

    def pages(nav):
        for entry in nav:
            for value in entry.values():
                yield from [value] if isinstance(value, str) else pages(value)

    there = {path.relative_to(ROOT / "docs").as_posix() for path in ROOT.glob("docs/**/*.md")}
    assert sorted(pages(config["nav"])) == sorted(page for page in there if not page.startswith("decisions/0"))
    listed = re.findall(r"\]\((0[^)]*)\)", (ROOT / "docs/decisions/README.md").read_text("utf-8"))
    decisions = {f"decisions/{name}" for name in listed}
    assert decisions == {page for page in there if page.startswith("decisions/0")}
    assert all((ROOT / hook).is_file() for hook in config["hooks"])


def test_every_function_of_the_walks_is_there():
    told = re.findall(r"`([a-z_/]+\.py)(?::(\w+))?`", (ROOT / "docs/walks.md").read_text("utf-8"))
    assert len(told) > 50
    text = {file: (ROOT / "mace_gov" / file).read_text("utf-8") for file, _ in told}
    assert not [f"{file}:{name}" for file, name in told
                if name and not re.search(rf"^(class|def) {name}\b", text[file], re.M)]
