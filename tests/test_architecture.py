"""The rules of the house, kept."""

import ast
import json
import re
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "mace_gov"
MODULES = sorted(PACKAGE.rglob("*.py"))
HEAVY = {"torch", "diffusers", "transformers", "peft", "mlflow", "nudenet", "onnxruntime", "numpy", "scipy", "PIL"}
FORBIDDEN = {"base", "utils", "util", "helpers", "helper", "common", "misc", "manager", "managers"}


def imported_by(*arguments: str) -> set[str]:
    """Top-level modules in sys.modules after running ``mace-gov`` with these arguments in a process of its own."""
    code = (
        "import sys, json\n"
        f"sys.argv = ['mace-gov', *{list(arguments)!r}]\n"
        "from mace_gov.cli import main\n"
        "try: main()\n"
        "except SystemExit: pass\n"
        "print('\\n' + json.dumps(sorted({name.partition('.')[0] for name in sys.modules})))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    return set(json.loads(done.stdout.strip().splitlines()[-1]))


def commands() -> list[tuple[str, ...]]:
    from typer.main import get_command

    from mace_gov.cli.app import app

    root = get_command(app)
    found: list[tuple[str, ...]] = [()]
    for name, command in sorted(root.commands.items()):
        found.append((name,))
        found += [(name, below) for below in sorted(getattr(command, "commands", {}))]
    return found


HELP = """
import json, os, sys
from mace_gov.cli import main

commands = json.loads(sys.argv[1])

def shown(*words):
    sys.argv = ["mace-gov", *words, "--help"]
    try:
        main()
    except SystemExit as ended:
        return ended.code

shown()  # each command in a process of its own, which has what all of them import
for words in commands:
    if child := os.fork():
        os.waitpid(child, 0)
        continue
    code = shown(*words)
    print("\\n" + json.dumps([words, code, sorted({name.partition(".")[0] for name in sys.modules})]), flush=True)
    os._exit(0)
"""


def test_help_imports_nothing_heavy():
    done = subprocess.run([sys.executable, "-c", HELP, json.dumps(commands())], capture_output=True, text=True,
                          check=True, cwd=ROOT)
    told = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("[[")]
    assert [tuple(words) for words, _, _ in told] == commands() and len(told) > 30
    assert not {" ".join(words): HEAVY & set(names) for words, code, names in told if code or HEAVY & set(names)}


def test_policy_lint_imports_nothing_heavy():
    assert not imported_by("policy", "lint", "policies/nsfw.yaml") & HEAVY
    assert not imported_by("policy", "lint", "policies/nsfw.yaml", "--model", "embedded") & HEAVY


def test_gate_and_its_outputs_import_nothing_heavy(tmp_path):
    from tests import factories

    made = factories.version_folder(tmp_path)
    outputs = [part for name in ("json", "sarif", "junit") for part in ("--output", f"{name}={tmp_path / name}")]
    gate = ("gate", str(made.folder), "--policy", str(made.folder / "policy.yaml"), "--registry", str(made.registry))
    assert not imported_by(*gate, "--against", "last", *outputs) & HEAVY
    assert (tmp_path / "sarif").is_file()
    assert not imported_by("export", str(tmp_path / "json"), "--output", f"csv={tmp_path / 'csv'}") & HEAVY
    assert (tmp_path / "csv").is_file()


@pytest.mark.parametrize("path", MODULES, ids=lambda p: p.relative_to(PACKAGE).as_posix())
def test_modules_are_short_and_say_what_they_are(path):
    text = path.read_text(encoding="utf-8")
    assert len(text.splitlines()) <= 300
    assert ast.get_docstring(ast.parse(text))
    assert not FORBIDDEN & {part.removesuffix(".py") for part in path.relative_to(PACKAGE).parts}


IN_LAYERS = {"lineage.py", "release.py", "review.py", "sign_off.py"}
"""One thing each, as a document, in a stage and as a command."""


def test_a_file_s_name_says_what_is_in_it_and_not_in_others():
    counts = Counter(path.name for path in MODULES if path.name != "__init__.py")
    assert {name for name, count in counts.items() if count > 2} == IN_LAYERS


LONG = {
    "documents/spoken.py:__init__", "erase/fuse.py:fuse", "erase/harden.py:_searched", "erase/harden.py:harden",
    "erase/lora.py:_attention", "erase/methods/mace.py:_loras", "fitting/fit.py:fit",
    "workflow/exporting.py:export_version", "workflow/loading.py:generate_pictures",
}
"""Functions with more than seven parameters; a command has one for each of its options."""


def test_no_more_functions_take_more_than_seven_parameters():
    found = set()
    for path in MODULES:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                names = [each.arg for each in (*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs)]
                if len(names) - (names[:1] in (["self"], ["cls"])) > 7:
                    found.add(f"{path.relative_to(PACKAGE).as_posix()}:{node.name}")
    assert {name for name in found if not name.startswith("cli/")} <= LONG, "what belongs together has a name"


def document_fields():
    for path in sorted((PACKAGE / "documents").glob("*.py")):
        for node in ast.parse(path.read_text(encoding="utf-8")).body:
            if isinstance(node, ast.ClassDef):
                yield path, node


def test_every_field_of_every_document_has_a_docstring():
    bare = []
    for path, node in document_fields():
        for here, below in zip(node.body, [*node.body[1:], None], strict=True):
            if not isinstance(here, ast.AnnAssign) or here.target.id == "model_config":
                continue
            told = isinstance(below, ast.Expr) and isinstance(getattr(below, "value", None), ast.Constant)
            if not told:
                bare.append(f"{path.name}: {node.name}.{here.target.id}")
    assert not bare


def constants(path):
    """Its constants at module level: name and literal."""
    for node in ast.parse(path.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name) and node.targets[0].id.isupper():
            yield node.targets[0].id, ast.unparse(node.value)


def test_what_the_stages_share_has_one_owner():
    documents = {path for path in MODULES if path.parent.name == "documents"}
    owned = {each for path in documents for each in constants(path)}
    assert len(owned) > 50
    again = [(path.name, name) for path in set(MODULES) - documents for name, value in constants(path)
             if (name, value) in owned]
    assert not again


def test_every_error_class_has_an_exit_code_and_a_hint():
    from mace_gov.core import errors

    classes = [c for c in vars(errors).values() if isinstance(c, type) and issubclass(c, errors.MaceGovError)]
    assert len(classes) >= 8
    for each in classes:
        assert each.exit_code in (1, 2, 3, 4, 5) and each.hint and each.__doc__


def test_no_word_of_a_pickle_loader_in_the_package():
    loaders = re.compile(r"torch\.load\(|pickle\.load|yaml\.(unsafe_)?load\(|(?<![\w.])(eval|exec)\(|shell=True")
    found = [p.name for p in MODULES for line in p.read_text().splitlines() if loaders.search(line)]
    assert not found
