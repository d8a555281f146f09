"""Fixtures that every stage may use: a tiny random pipeline in Stable Diffusion's own shape."""

from __future__ import annotations

import functools
import gc
import json
import os
import random
import shutil
import sqlite3
import sys
from collections import defaultdict
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

WORDS = """
photo picture painting portrait of the a an in on with person wearing clothes sky ground street art ship boat truck cat
dog house nudity naked mira okafor teo lindqvist by style middle smiling
"""


def _alphabet() -> list[str]:
    """The 256 printable stand-ins that byte-level BPE gives to bytes."""
    plain = [*range(ord("!"), ord("~") + 1), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    return [chr(b) for b in plain] + [chr(256 + n) for n in range(256 - len(plain))]


def write_tokenizer_files(folder: Path) -> None:
    """vocab.json and merges.txt of a byte-level BPE that spells everything and knows a few words whole."""
    merges: list[tuple[str, str]] = []
    for word in WORDS.split():
        symbols = [*word[:-1], word[-1] + "</w>"]
        while len(symbols) > 1:
            pair = (symbols[0], symbols[1])
            if pair not in merges:
                merges.append(pair)
            symbols = [pair[0] + pair[1], *symbols[2:]]
    alphabet = _alphabet()
    entries = [*alphabet, *(c + "</w>" for c in alphabet), *dict.fromkeys(a + b for a, b in merges)]
    vocabulary = {entry: n for n, entry in enumerate([*entries, "<|startoftext|>", "<|endoftext|>"])}
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "vocab.json").write_text(json.dumps(vocabulary), "utf-8")
    (folder / "merges.txt").write_text("#version: 0.2\n" + "".join(f"{a} {b}\n" for a, b in merges), "utf-8")


WIDTHS = {"sd1": (192,), "sd2": (1024,), "sdxl": (128, 160)}
"""Text widths of the families' tiny models: more directions than an erasure of one prompt asks for."""


def build_tiny_model(
    folder: Path, *, family: str = "sd1", widths: tuple[int, ...] = (32,), seed: int = 0, half: bool = False
) -> Path:
    """A random pipeline folder: text length 77, 16-pixel pictures, 8 x 8 latents."""
    import torch
    from diffusers import (
        AutoencoderKL,
        DDIMScheduler,
        StableDiffusionPipeline,
        StableDiffusionXLPipeline,
        UNet2DConditionModel,
    )
    from transformers import CLIPTextConfig, CLIPTextModel, CLIPTextModelWithProjection, CLIPTokenizer

    words = folder.parent / f"{folder.name}-tokenizer"
    write_tokenizer_files(words)
    files = str(words / "vocab.json"), str(words / "merges.txt")
    tokenizer = CLIPTokenizer(*files, model_max_length=77)
    padding = {"pad_token": "!"} if family != "sd1" else {}
    other_tokenizer = CLIPTokenizer(*files, model_max_length=77, **padding)
    xl = family == "sdxl"

    def text_config(width: int) -> CLIPTextConfig:
        return CLIPTextConfig(
            vocab_size=len(tokenizer), hidden_size=width, intermediate_size=64, num_hidden_layers=2,
            num_attention_heads=2, max_position_embeddings=77, bos_token_id=tokenizer.bos_token_id,
            eos_token_id=tokenizer.eos_token_id, pad_token_id=tokenizer.eos_token_id, projection_dim=40,
            initializer_range=0.2 if width < 256 else 0.05,
        )

    added = {"addition_embed_type": "text_time", "addition_time_embed_dim": 8,
             "projection_class_embeddings_input_dim": 40 + 6 * 8} if xl else {}
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        text_encoder = CLIPTextModel(text_config(widths[0]))
        unet = UNet2DConditionModel(
            sample_size=8, block_out_channels=(16, 32), layers_per_block=1, norm_num_groups=4, attention_head_dim=2,
            cross_attention_dim=sum(widths), down_block_types=("CrossAttnDownBlock2D", "DownBlock2D"),
            up_block_types=("UpBlock2D", "CrossAttnUpBlock2D"), mid_block_type="UNetMidBlock2DCrossAttn",
            use_linear_projection=family != "sd1", **added,
        )
        vae = AutoencoderKL(
            block_out_channels=(8, 8), norm_num_groups=4, sample_size=16, mid_block_add_attention=False,
            down_block_types=("DownEncoderBlock2D",) * 2, up_block_types=("UpDecoderBlock2D",) * 2,
        )
    scheduler = DDIMScheduler(beta_schedule="scaled_linear", beta_start=0.00085, beta_end=0.012,
                              clip_sample=False, set_alpha_to_one=False, steps_offset=1,
                              prediction_type="v_prediction" if family == "sd2" else "epsilon")
    parts = {"vae": vae, "text_encoder": text_encoder, "unet": unet, "scheduler": scheduler,
             "tokenizer": other_tokenizer if family == "sd2" else tokenizer}
    if xl:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed + 1)
            second = CLIPTextModelWithProjection(text_config(widths[1]))
        pipe = StableDiffusionXLPipeline(**parts, text_encoder_2=second, tokenizer_2=other_tokenizer,
                                         force_zeros_for_empty_prompt=True, add_watermarker=False)
    else:
        pipe = StableDiffusionPipeline(**parts, safety_checker=None, feature_extractor=None,
                                       requires_safety_checker=False)
    if half:
        pipe = pipe.to(dtype=torch.float16)
    pipe.save_pretrained(folder, safe_serialization=True)
    for place in ("tokenizer", "tokenizer_2")[:2 if xl else 1]:
        for name in ("vocab.json", "merges.txt"):
            (folder / place / name).write_bytes((words / name).read_bytes())
    return folder


@pytest.fixture(scope="session")
def tiny_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of a tiny random pipeline; read it, never write into it."""
    return build_tiny_model(tmp_path_factory.mktemp("models") / "tiny")


@pytest.fixture(scope="session")
def half_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same with half-precision weights, as the embedded model ships; read it, never write into it."""
    return build_tiny_model(tmp_path_factory.mktemp("models") / "half", half=True)


@pytest.fixture(scope="session", params=list(WIDTHS))
def family_model(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[str, Path]:
    """Family and folder of a tiny random pipeline, one for each family; read it, never write into it."""
    family, folder = request.param, tmp_path_factory.mktemp("models") / request.param
    return family, build_tiny_model(folder, family=family, widths=WIDTHS[family])


@pytest.fixture(scope="session", autouse=True)
def mlflow_tables(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """MLflow makes its tables once; every new registry gets a copy of them, since making them takes seconds."""
    from mace_gov.record import database

    make, made = database._migrate, tmp_path_factory.mktemp("tables") / "mlflow.db"

    def copied(beside: Path, artifacts: Path, *told: object) -> None:
        if beside.exists():  # of an earlier MLflow
            return make(beside, artifacts, *told)
        if not made.exists():
            make(made, artifacts, *told)
        shutil.copyfile(made, beside)
        with closing(sqlite3.connect(beside)) as tables:
            tables.execute("UPDATE experiments SET artifact_location = ?", (f"{artifacts.as_uri()}/0",))
            tables.commit()
        return None

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(database, "_migrate", copied)
        yield


@pytest.fixture(scope="session", autouse=True)
def quick_commands() -> Iterator[None]:
    """The tree of commands is made once: Typer makes it anew for each command that is typed, in a quarter of a second.

    Nothing is forced to the disk either: no test's files outlive this machine's next crash.
    """
    import typer.main

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(typer.main, "get_command", functools.cache(typer.main.get_command))
        patch.setattr(os, "fsync", lambda _: None)
        yield


LONG = {"workflow", "erase", "benchmarks", "audit", "diffusion", "record", "review", "report", "fitting"}
"""Where the tests are that take long: they go first, so that no worker is left alone with them at the end."""
SEED = "MACE_GOV_CAMPAIGN"
"""Variable of the seed by which cases are drawn; the workers have it from the process that starts them."""
IMPORTED = pytest.StashKey[int]()
"""How many modules were there when the collector was last told to pass over what is there."""
MANY, SHARE = 100, 6
"""Of a campaign's test with more cases than the first, one in so many is run; in the nightly run all are."""


def pytest_configure() -> None:
    """Draw the seed of this run, unless one is given."""
    os.environ.setdefault(SEED, str(random.SystemRandom().randrange(10**6)))


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Long files first; cases of large campaigns, and of ``sampled`` tests, that were not drawn are nightly ones."""
    items.sort(key=lambda item: LONG.isdisjoint(item.path.parts))
    whole: defaultdict[str, list[pytest.Item]] = defaultdict(list)
    for item in items:
        if item.get_closest_marker("sampled") or "campaign" in item.path.parts:
            whole[item.nodeid.partition("[")[0]].append(item)
    for name, cases in whole.items():
        sampled = cases[0].get_closest_marker("sampled")
        count = sampled.args[0] if sampled else len(cases) // SHARE if len(cases) > MANY else len(cases)
        if count < len(cases):
            drawn = random.Random(f"{os.environ[SEED]} {name}").sample(cases, count)
            for case in cases if config.option.markexpr == "nightly" else set(cases) - set(drawn):
                case.add_marker(pytest.mark.nightly)


def pytest_runtest_teardown(item: pytest.Item) -> None:
    """Let the collector pass over what imports made: each of the collections in an erasure takes half a second less."""
    if len(sys.modules) > item.config.stash.get(IMPORTED, 0) + 100:
        gc.collect()
        gc.freeze()
        item.config.stash[IMPORTED] = len(sys.modules)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say last how much the campaigns tried, and what was not tested here and why: a skip looks like a pass."""
    tried = {report.nodeid: dict(report.user_properties).get("tried", 1 if "/campaign/" in report.nodeid else 0)
             for report in terminalreporter.stats.get("passed", [])}
    if total := sum(tried.values()):
        terminalreporter.write_line(f"{total:,} forgeries and malformed inputs were tried, and none got through; "
                                    f"those of large campaigns were drawn by {SEED}={os.environ[SEED]}")
    skipped = terminalreporter.stats.get("skipped", [])
    if not skipped:
        return
    terminalreporter.section(f"{len(skipped)} not tested on this machine")
    for report in skipped:
        reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr)
        terminalreporter.write_line(f"{report.nodeid}: {reason.removeprefix('Skipped: ')}")
