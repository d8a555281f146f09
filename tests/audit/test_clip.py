"""CLIP at a small size: the arithmetic is checked by hand on random weights, the refusals on broken folders."""

import numpy as np
import pytest
import torch
from PIL import Image

from mace_gov.audit.clip import Clip
from mace_gov.audit.detectors.by_name import make_detector
from mace_gov.audit.detectors.clip import CAPTIONS, ClipDetector
from mace_gov.audit.detectors.detector_protocol import Query
from mace_gov.audit.detectors.rivals import NOTHING, STYLES
from mace_gov.audit.metrics.distances import clip_scores
from mace_gov.audit.probes.everyday import NOUNS
from mace_gov.core.errors import DetectorError, PolicyError
from mace_gov.documents.policy import DetectorSpec, Kind
from tests.audit import planted
from tests.audit.test_probes import policy_of
from tests.audit.tiny_clip import build_tiny_clip

RNG = np.random.default_rng(0)
PICTURES = [Image.fromarray(RNG.integers(0, 256, (40, 64, 3), dtype=np.uint8)) for _ in range(5)]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return build_tiny_clip(tmp_path_factory.mktemp("clip") / "tiny")


@pytest.fixture(scope="module")
def clip(folder):
    return Clip.load(str(folder))


def test_vectors_are_those_of_transformers(clip):
    square = PICTURES[0].resize((51, 32), Image.Resampling.BICUBIC).crop((9, 0, 41, 32))
    pixels = torch.tensor((np.asarray(square) / 255 - 0.5) / 0.25).permute(2, 0, 1)[None].float()
    given = clip.tokenizer(["a photo of ship", "cat"], padding=True, return_tensors="pt")
    with torch.no_grad():
        said = clip.model(pixel_values=pixels, **given)
    assert np.allclose(clip.pictures(PICTURES[:1]), said.image_embeds.numpy(), atol=1e-5)
    assert np.allclose(clip.phrases(["a photo of ship", "cat"]), said.text_embeds.numpy(), atol=1e-5)


@pytest.mark.parametrize("levels", [(255, 0, 0), (0, 0, 255)])
def test_its_network_gets_red_green_blue_less_its_own_means(clip, monkeypatch, levels):
    given, read = [], clip.model.vision_model.forward
    monkeypatch.setattr(clip.model.vision_model, "forward",
                        lambda pixel_values, **more: given.append(pixel_values) or read(pixel_values, **more))
    Clip(clip.model, clip.tokenizer, mean=(0.1, 0.2, 0.3), deviation=(0.5, 0.25, 0.2)).pictures(
        [Image.new("RGB", (64, 64), levels)])
    wanted = (np.array(levels) / 255 - [0.1, 0.2, 0.3]) / [0.5, 0.25, 0.2]
    assert given[0].shape == (1, 3, 32, 32) and given[0][0, :, 9, 9].numpy() == pytest.approx(wanted, abs=1e-6)


def test_a_picture_or_phrase_has_one_vector_whatever_it_came_with(clip, folder):
    fresh = Clip.load(str(folder))
    together = clip.pictures(PICTURES)
    assert np.allclose(together[3:4], fresh.pictures([PICTURES[3]]), atol=1e-6)
    assert np.array_equal(together, clip.pictures(PICTURES)) and np.allclose((together ** 2).sum(1), 1, atol=1e-5)
    long = clip.phrases(["ship " * 400])
    assert np.isfinite(long).all()


def test_pictures_that_do_not_go_together_go_in_halves(clip, folder, monkeypatch):
    fresh, sizes = Clip.load(str(folder)), []
    see = fresh.model.vision_model.forward

    def short(pixel_values, **options):
        sizes.append(len(pixel_values))
        if sizes[-1] > 2:
            raise MemoryError
        return see(pixel_values=pixel_values, **options)

    monkeypatch.setattr(fresh.model.vision_model, "forward", short)
    assert np.allclose(fresh.pictures(PICTURES), clip.pictures(PICTURES), atol=1e-6)
    assert sizes == [5, 2, 2, 1]


def test_the_score_is_a_half_exactly_where_the_concept_is_the_first_choice(clip):
    detector = ClipDetector(clip=clip, classes=["cat", "dog", "truck"])
    query = Query(("ship",), "subject", True, 64, ("boat",))
    labels = ["ship", "boat", "cat", "dog", "truck"]
    words = np.stack([clip.phrases([form.format(label) for form in CAPTIONS]).mean(0) for label in labels])
    words /= np.linalg.norm(words, axis=1, keepdims=True)
    first = [(words @ vector).argmax() < 2 for vector in clip.pictures(PICTURES)]
    assert [score >= 0.5 for score in detector.score(PICTURES, [query] * 5)] == first
    narrow = ClipDetector(clip=clip, classes=["cat"]).score(PICTURES[:1], [Query(("dog",), "subject", False, 64)])
    pair = clip.scale * (np.stack([words[3], words[2]]) @ clip.pictures(PICTURES[:1])[0])
    assert narrow[0] == pytest.approx(1 / (1 + np.exp(pair[1] - pair[0])), abs=1e-5)


def test_nothing_that_shares_a_word_with_the_query_stands_against_it(clip):
    detector = ClipDetector(clip=clip)
    others = detector.others(Query(("truck",), "subject", True, 64, ("bicycle",)))
    assert "fire truck" not in others and "bicycle" not in others and "cat" in others and set(NOTHING) <= set(others)
    assert len(others) == len(NOUNS) + len(NOTHING) - 2
    styles = detector.others(Query(("in the style of charcoal",), "style", True, 64))
    assert "a charcoal drawing" not in styles and len(styles) < len(STYLES)


def test_a_style_is_put_in_words_of_its_own(clip):
    detector = ClipDetector(clip=clip)
    style, subject = (detector.score(PICTURES[:1], [Query(("noto",), facet, True, 64)]) for facet in
                      ("style", "subject"))
    assert style != subject


def test_the_card_names_model_and_weights(folder):
    detector = make_detector(DetectorSpec(name="clip", model=str(folder)))
    card = detector.card()
    assert card.version == "tiny" and len(card.weights_digest) == 64 and card.sensitivity is None


def test_a_clip_without_a_model_or_that_does_not_load_is_refused(tmp_path):
    with pytest.raises(PolicyError, match="expected a CLIP folder"):
        make_detector(DetectorSpec(name="clip"))
    (tmp_path / "config.json").write_text("{}")
    with pytest.raises(DetectorError, match="does not load"):
        make_detector(DetectorSpec(name="clip", model=str(tmp_path)))


def test_weights_that_are_not_finite_are_an_error_and_no_absence(folder):
    broken = Clip.load(str(folder))
    broken.model.visual_projection.weight.data.fill_(float("nan"))
    with pytest.raises(DetectorError, match="not finite"):
        ClipDetector(clip=broken).score(PICTURES[:1], [Query(("ship",), "subject", True, 64)])


def test_clip_scores_are_cosines_with_the_own_prompt(clip):
    prompts = ["ship", "cat", "dog", "boat", "truck"]
    cosines = (clip.pictures(PICTURES) @ clip.phrases(prompts).T).diagonal()
    assert np.allclose(clip_scores(clip, PICTURES, prompts), 100 * np.clip(cosines, 0, None), atol=1e-4)


def test_a_real_model_s_audit_has_an_unrelated_suite_and_h_a_with_a_clip(tmp_path, folder):
    policy = policy_of(Kind.STYLE, [{"id": "noto", "target": "noto", "anchor": "art"}],
                       audit={"prompts": 3, "unrelated": 6})
    plain = policy.to_json()
    plain["spec"]["categories"][0]["detectors"] = [{"name": "clip", "model": str(folder)}]
    result = planted.run(tmp_path / "out", planted.erased, policy=type(policy).model_validate(plain),
                         detector=make_detector, embedded=False, image_size=512)
    assert {"H_a", "CLIP_e", "CLIP_s", "CLIP_base", "CLIP_governed", "FID_clip", "KID_clip"} <= set(result.comparisons)
    found = result.comparisons
    assert found["H_a"] == pytest.approx(found["CLIP_s"] - found["CLIP_e"])
    assert not result.unscored and result.detectors[0].name == "clip"
    assert {"CLIP_top1_e", "CLIP_probability_e", "CLIP_top1_s", "CLIP_probability_s"} <= set(found)
    assert found["CLIP_top1_e"] == result.measures["Acc_e"] and "CLIP_top1_g" not in found


def test_first_choice_and_probability_are_told_apart(clip):
    detector = ClipDetector(clip=clip, classes=["cat", "dog", "truck"])
    queries = [Query((phrase,), "subject", False, 64) for phrase in ("ship", "cat", "dog", "truck")]
    first = detector.recognised(PICTURES, [queries[0]] * 5)
    assert [chosen for chosen, _ in first] == [s >= 0.5 for s in detector.score(PICTURES, [queries[0]] * 5)]
    for image in PICTURES:  # the labels are the same three for each of these queries
        total = sum(p for _, p in detector.recognised([image] * 3, queries[1:]))
        assert total == pytest.approx(1, abs=1e-5)
