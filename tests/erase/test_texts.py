"""States kept on disk: the same bits as read anew, nothing read twice, nothing believed that cannot be read."""

from __future__ import annotations

import pytest
import torch

from mace_gov.diffusion.text import TextReader
from mace_gov.erase.texts import kept_reader
from tests import factories

TEMPLATES = ["a photo of {}", "{} on the street"]


class Read(Exception):
    """The encoder was asked."""


@pytest.fixture
def unread(monkeypatch):
    def refuse(*_):
        raise Read

    return lambda: monkeypatch.setattr(TextReader, "_read", refuse)


def test_kept_states_are_those_read_and_are_read_once(base_pipe, plan_for, tmp_path, unread):
    plan = plan_for()
    _, plain = TextReader.of(base_pipe).phrase("ship", TEMPLATES)
    with kept_reader(base_pipe, plan, tmp_path) as reader:
        _, first = reader.phrase("ship", TEMPLATES)
        assert torch.allclose(first, plain, atol=1e-5)
    unread()
    with kept_reader(base_pipe, plan, tmp_path) as reader:
        assert torch.equal(reader.phrase("ship", TEMPLATES)[1], first)  # a copy, nothing is computed
        with pytest.raises(Read):
            reader.phrase("dog", TEMPLATES)


def test_another_encoder_or_batch_is_another_thing(base_pipe, plan_for, tmp_path, unread):
    plan = plan_for()
    files = {name: "f" * 64 if name.startswith("text_encoder") else digest for name, digest in plan.base.files.items()}
    other = plan.model_copy(update={"base": plan.base.model_copy(update={"files": files})})
    with kept_reader(base_pipe, plan, tmp_path) as reader:
        reader.phrase("ship", TEMPLATES)
    unread()
    with kept_reader(base_pipe, other, tmp_path) as reader, pytest.raises(Read):
        reader.phrase("ship", TEMPLATES)
    with kept_reader(base_pipe, plan, tmp_path) as reader, pytest.raises(Read):
        reader.phrase("ship", TEMPLATES[:1])


def test_a_spoilt_file_is_made_anew(base_pipe, plan_for, tmp_path):
    plan, said = plan_for(), factories.Said()
    with kept_reader(base_pipe, plan, tmp_path, said) as reader:
        _, plain = reader.phrase("ship", TEMPLATES)
        file, = (tmp_path / "states").iterdir()
        whole = file.read_bytes()
        for spoilt in (whole[:100], whole[:-1] + bytes([whole[-1] ^ 1])):
            file.write_bytes(spoilt)
            assert torch.equal(reader.phrase("ship", TEMPLATES)[1], plain)
            assert file.read_bytes() == whole
    assert len(said.notes) == 2 and "made anew" in said.notes[0]


def test_without_a_cache_nothing_is_left_behind(base_pipe, plan_for):
    with kept_reader(base_pipe, plan_for(), None) as reader:
        reader.phrase("ship", TEMPLATES)
        folder = reader.folder
        assert len(list(folder.iterdir())) == 1
    assert not folder.exists()
