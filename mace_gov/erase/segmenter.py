"""A concept cut out of pictures by networks of their own: Grounding DINO finds boxes by words, SAM what is in them.

Grounded-SAM (Ren et al., arXiv 2401.14159), as the MACE paper uses it, through transformers. Every box above the
threshold counts and all components of every mask are kept: a picture may show the concept more than once.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from PIL import Image

from mace_gov.core.errors import ModelError
from mace_gov.diffusion.load import errors_as, quiet
from mace_gov.diffusion.segmenters import locate_network, network_digest
from mace_gov.documents.plan import SegmenterSettings

if TYPE_CHECKING:
    from transformers import PreTrainedModel


class GroundedSegmenter:
    """Both networks, ready to look."""

    def __init__(
        self, detector: PreTrainedModel, detector_processor: Any, segmenter: PreTrainedModel, segmenter_processor: Any,
        threshold: float,
    ) -> None:
        self.detector, self.read = detector, detector_processor
        self.segmenter, self.prepare, self.threshold = segmenter, segmenter_processor, threshold

    @classmethod
    def load(cls, settings: SegmenterSettings, device: torch.device) -> GroundedSegmenter:
        """From safetensors alone, in float32. Raises ModelError when they do not load, or changed since the plan."""
        import transformers

        parts: list[Any] = []
        for part, model, processor in (
            ("detector", transformers.GroundingDinoForObjectDetection, transformers.GroundingDinoProcessor),
            ("segmenter", transformers.SamModel, transformers.SamProcessor),
        ):
            ref = getattr(settings, part)
            folder = locate_network(part, ref, getattr(settings, f"{part}_revision"))
            if (found := network_digest(folder)) != (planned := getattr(settings, f"{part}_digest")):
                raise ModelError(f"method.segmenter.{part}: '{ref}' has digest {found}, planned was {planned}",
                                 hint="Plan again with the model as it is now, or restore its files.")
            with quiet(), errors_as(f"method.segmenter.{part} '{ref}'"):
                parts += [_whole(model, folder).to(device).eval().requires_grad_(False),
                          processor.from_pretrained(str(folder), local_files_only=True)]
        detector, reads, segmenter, prepares = parts
        return cls(detector, reads, segmenter, prepares, settings.threshold)

    @torch.no_grad()
    def __call__(self, images: Sequence[Image.Image], phrase: str) -> list[torch.Tensor | None]:
        """Where the phrase is, bool [height, width] of each picture; None where nothing is found."""
        found = [self._cut_out(image, boxes) if len(boxes) else None
                 for image, boxes in zip(images, self.boxes(images, phrase), strict=True)]
        return [mask if mask is not None and mask.any() else None for mask in found]

    @torch.no_grad()
    def boxes(self, images: Sequence[Image.Image], phrase: str) -> list[torch.Tensor]:
        """Boxes [n, 4] of each picture (left, top, right, bottom in pixels) that score above the threshold."""
        text = f"{phrase.lower().strip(' .')}."  # as the detector's training texts end
        found = []
        for image in images:  # one at a time: boxes cost more memory than they cost time
            given = self.read(images=image, text=text, return_tensors="pt").to(self.detector.device)
            seen = self.read.post_process_grounded_object_detection(
                self.detector(**given), threshold=self.threshold, target_sizes=[(image.height, image.width)])
            found.append(seen[0]["boxes"].cpu())
        return found

    def _cut_out(self, image: Image.Image, boxes: torch.Tensor) -> torch.Tensor:
        given = self.prepare(image, input_boxes=[boxes.tolist()], return_tensors="pt").to(
            self.segmenter.device, torch.float32)
        sizes = given.pop("original_sizes"), given.pop("reshaped_input_sizes")
        seen = self.segmenter(**given, multimask_output=False)
        (masks,) = self.prepare.image_processor.post_process_masks(seen.pred_masks.cpu(), *map(torch.Tensor.cpu, sizes))
        cut: torch.Tensor = masks.flatten(0, 1).any(0)  # of all boxes
        return cut


def _whole(kind: Any, folder: Path) -> PreTrainedModel:
    """A network with every weight from its file. Raises ModelError for one that the file lacks."""
    made, told = kind.from_pretrained(str(folder), dtype=torch.float32, use_safetensors=True, local_files_only=True,
                                      output_loading_info=True)
    if lacking := sorted(map(str, [*told["missing_keys"], *told["mismatched_keys"]])):
        raise ModelError(f"{folder} has no weights for {len(lacking)} tensors of {kind.__name__}, such as {lacking[0]}",
                         hint="Save the model anew with save_pretrained.")
    network: PreTrainedModel = made
    return network
