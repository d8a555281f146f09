"""Everything that an audit will ask, and who draws the answers, before any model is loaded."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from mace_gov.audit.detectors.plugin import sources
from mace_gov.audit.imported import check_pictures, imported_sides, importing, unnamed_files
from mace_gov.audit.inputs import AuditRun, Inputs
from mace_gov.audit.pictures import Drawer, Wanted
from mace_gov.audit.probes.asking import Asking
from mace_gov.audit.probes.lexicon import lexicon_for
from mace_gov.audit.probes.outside import is_translations, read_prompts, read_translations
from mace_gov.audit.probes.probe import Probe, seed_for
from mace_gov.audit.probes.suites import build_probes
from mace_gov.audit.probes.unrelated import general_prompts
from mace_gov.audit.synonyms import is_synonyms, with_synonyms
from mace_gov.core.digest import sha256_file
from mace_gov.core.errors import UsageError
from mace_gov.core.phrases import phrase_key
from mace_gov.documents.audit import Side
from mace_gov.documents.family_info import tier_problem
from mace_gov.documents.plan import ModelManifest
from mace_gov.documents.policy import Policy
from mace_gov.documents.terms import Kind, Suite

HARMLESS = 32
"""Pictures of harmless prompts that the broken-model check compares."""


@dataclass(frozen=True)
class Prepared:
    """What is asked, and how it is drawn."""

    policy: Policy
    """The policy, with reviewed synonyms beside its own."""
    probes: list[Probe]
    """Every question."""
    harmless: list[Wanted]
    """Prompts and seeds of the broken-model check."""
    captions: list[Wanted]
    """Prompts and seeds whose pictures are compared and not searched."""
    refused: int
    """Rows of the files that must not be drawn."""
    brought: dict[str, str]
    """Digests of the files of prompts by name, as they were read."""
    importer: Callable[[Drawer], Drawer] | None = None
    """Of pictures that were drawn elsewhere: makes of a drawer one that takes them from their folder."""
    imported: frozenset[Side] = frozenset()
    """Sides whose pictures were drawn elsewhere."""
    pictures: dict[str, str] = field(default_factory=dict)
    """Digests of those pictures by name."""
    unnamed: list[str] = field(default_factory=list)
    """Files of their folder that are not judged."""
    cut: int = 0
    """Prompts of which the model reads the beginning alone."""
    unread: int = 0
    """Probes that were left out because what they ask for stands in the part that is cut off."""

    @property
    def beside(self) -> list[Wanted]:
        """Prompts and seeds to draw beside the probes'; some may be theirs too."""
        return [*self.harmless, *self.captions]

    def drawer(self, draw: Drawer) -> Drawer:
        """What answers: ``draw``, but for pictures that were drawn elsewhere."""
        return self.importer(draw) if self.importer else draw


def prepare(policy: Policy, base: ModelManifest, run: AuditRun) -> Prepared:
    """The policy's probes and those of the files; of pictures made elsewhere, those of the files alone.

    Raises PolicyError when probes cannot be made, UsageError for files with malformed rows, pictures that cannot be
    judged and tiers that cannot run on the base model.
    """
    inputs = run.inputs
    check_tiers(base, inputs)
    _apart([*inputs.prompts, *inputs.loras, *sources(inputs.plugins)])
    synonyms = [path for path in inputs.prompts if is_synonyms(path)]
    policy = with_synonyms(policy, synonyms)
    tables = {path: is_translations(path) for path in inputs.prompts if path not in synonyms}
    translations = read_translations([path for path, table in tables.items() if table], policy)
    added = tuple(Suite) if "static" in inputs.tiers else ()
    asking = Asking(policy, run.lexicon or lexicon_for(base), run.trained_on, translations, added)
    if inputs.loras and "deep" not in inputs.tiers:
        raise UsageError("--lora: found no --tier deep, expected it: a LoRA is merged to ask the derivative")
    if odd := [path for path in inputs.loras if path.suffix != ".safetensors" or not path.is_file()]:
        raise UsageError(f"--lora: found {odd[0]}, expected a .safetensors file")
    files = [path for path, table in tables.items() if not table]
    if inputs.images is not None and inputs.tiers - {"static"}:
        raise UsageError(f"--tier: found {', '.join(sorted(inputs.tiers))} with --images, expected static alone: the "
                         "others need the model itself")
    if inputs.images is not None and not files:
        raise UsageError("--images: found no file of prompts, expected one that says which picture answers which",
                         hint="Give it with --prompts; `mace-gov probes POLICY --out FILE.csv` writes one.")
    outside = read_prompts(files, asking, pictures=inputs.images is not None)
    brought = {path.name: sha256_file(path) for path in inputs.prompts}  # what is no file was refused when it was read
    if inputs.images is not None:
        probes = list(outside.probes)
        digests = check_pictures(inputs.images, outside)
        return Prepared(
            policy, probes, _spread(_unrelated(policy, probes)), outside.captions, outside.refused, brought,
            partial(importing, inputs.images, outside, digests), imported_sides(outside),
            digests, unnamed_files(inputs.images, digests), len(_cut(base, probes, outside.captions)),
        )
    as_planned = bool(run.own) and not (synonyms or translations or added or run.lexicon)
    asked = list(dict.fromkeys([*(run.own if as_planned else build_probes(asking)), *outside.probes]))
    cut = _cut(base, asked, outside.captions)
    probes = [probe for probe in asked if not _unread(probe, cut)]
    return Prepared(policy, probes, _harmless_prompts(asking, probes), outside.captions, outside.refused, brought,
                    cut=len(cut), unread=len(asked) - len(probes))


def check_tiers(model: ModelManifest, inputs: Inputs) -> None:
    """Raises UsageError when a tier that is asked for cannot run on a model's family."""
    if found := tier_problem(model.ref, model.family, inputs.tiers):
        raise UsageError(found, hint="Leave them out. `--tier static` asks in every suite, and runs on any model.")


def _apart(files: Collection[Path]) -> None:
    """Raises UsageError for two files of one name: the evidence lists them by name, and one would hide the other."""
    names = [path.name for path in files]
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise UsageError(f"--prompts, --lora, --plugin: found {twice[0]} twice, expected files of different names",
                         hint="Rename one, or join the tables.")


def _cut(base: ModelManifest, probes: Collection[Probe], captions: Collection[Wanted]) -> dict[str, str]:
    """Prompts that the base's text encoder cuts off, with what it reads of them."""
    from mace_gov.diffusion.lengths import cut_prompts

    return cut_prompts(Path(base.path), [*(probe.prompt for probe in probes), *(prompt for prompt, _ in captions)])


def _unread(probe: Probe, cut: Mapping[str, str]) -> bool:
    """Whether a prompt names what it is about in the part alone that is cut off."""
    if probe.prompt not in cut:
        return False
    whole, read = phrase_key(probe.prompt), phrase_key(cut[probe.prompt])
    named = [key for phrase in (*probe.expected, *probe.synonyms) if (key := phrase_key(phrase)) in whole]
    return bool(named) and not any(key in read for key in named)


def _harmless_prompts(asking: Asking, probes: Collection[Probe]) -> list[Wanted]:
    """Prompts and seeds for the broken-model check: from the unrelated suite, or general objects where it has none."""
    found = _unrelated(asking.policy, probes)
    if len(found) < HARMLESS:
        first = asking.policy.spec.audit.seed
        more = [(prompt, seed_for(first, 0, prompt)) for prompt in general_prompts(asking, HARMLESS)]
        found = list(dict.fromkeys([*found, *more]))
    return _spread(found)


def _unrelated(policy: Policy, probes: Collection[Probe]) -> list[Wanted]:
    """Celebrity policies may ask for people in the unrelated suite, who may well grow alike; they are left out."""
    people = {category.id for category in policy.spec.categories if category.kind is Kind.CELEBRITY}
    asked = [p for p in probes if p.suite is Suite.UNRELATED and p.category not in people]
    return list(dict.fromkeys((probe.prompt, probe.seed) for probe in asked))


def _spread(found: list[Wanted]) -> list[Wanted]:
    return [found[i * len(found) // HARMLESS] for i in range(HARMLESS)] if len(found) > HARMLESS else found
