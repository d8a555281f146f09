"""Grounding DINO and SAM with random weights: the published structure, a few channels; processors made by hand."""

from __future__ import annotations

from pathlib import Path

import torch
import transformers
from transformers.models.grounding_dino.image_processing_pil_grounding_dino import GroundingDinoImageProcessorPil
from transformers.models.sam.image_processing_pil_sam import SamImageProcessorPil

from tests.conftest import WORDS

SIDE, DETECTOR_SIDE = 32, 128
"""Pixels that each network reads."""


def build_detector(folder: Path) -> Path:
    """Swin stages 2 to 4, BERT, two-stage deformable attention on four levels, as grounding-dino-tiny."""
    pieces = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", ".", "?", *dict.fromkeys(WORDS.split())]
    words = {piece: n for n, piece in enumerate(pieces)}
    tokenizer = transformers.BertTokenizerFast(vocab=words, do_lower_case=True)
    images = GroundingDinoImageProcessorPil(size={"shortest_edge": DETECTOR_SIDE, "longest_edge": DETECTOR_SIDE})
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = transformers.GroundingDinoForObjectDetection(transformers.GroundingDinoConfig(
            backbone_config=transformers.SwinConfig(
                image_size=DETECTOR_SIDE, embed_dim=8, depths=[1, 1, 1, 1], num_heads=[1, 2, 2, 2], window_size=2,
                out_indices=[2, 3, 4]),
            text_config=transformers.BertConfig(
                vocab_size=len(words), hidden_size=16, num_hidden_layers=2, num_attention_heads=2,
                intermediate_size=32),
            d_model=32, encoder_layers=2, decoder_layers=2, encoder_attention_heads=2, decoder_attention_heads=2,
            encoder_ffn_dim=64, decoder_ffn_dim=64, num_queries=10))
    model.save_pretrained(folder, safe_serialization=True)
    transformers.GroundingDinoProcessor(images, tokenizer).save_pretrained(folder)
    return folder


def build_segmenter(folder: Path) -> Path:
    """A ViT with windows and relative positions, a prompt encoder, a two-way mask decoder, as sam-vit-base."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = transformers.SamModel(transformers.SamConfig(
            vision_config={"hidden_size": 16, "output_channels": 16, "num_hidden_layers": 2, "num_attention_heads": 2,
                           "image_size": SIDE, "patch_size": 4, "window_size": 4, "global_attn_indexes": [1],
                           "mlp_dim": 32, "num_pos_feats": 8},
            prompt_encoder_config={"hidden_size": 16, "image_size": SIDE, "patch_size": 4, "mask_input_channels": 4},
            mask_decoder_config={"hidden_size": 16, "mlp_dim": 32, "num_attention_heads": 2,
                                 "iou_head_hidden_dim": 16}))
    model.save_pretrained(folder, safe_serialization=True)
    images = SamImageProcessorPil(size={"longest_edge": SIDE}, pad_size={"height": SIDE, "width": SIDE})
    transformers.SamProcessor(images).save_pretrained(folder)
    return folder
