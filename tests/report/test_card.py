"""The model card: what the hub reads of it, and what nobody can smuggle into it."""

from __future__ import annotations

import yaml

from mace_gov.documents.policy import Policy
from mace_gov.documents.report import Report
from mace_gov.report.card import model_card
from tests import factories


def metadata(card: str) -> dict[str, object]:
    return yaml.safe_load(card.split("---\n")[1])


def on(ref: str, **plan: object) -> Report:
    made = factories.plan(base=factories.manifest(ref=ref, embedded=False), **plan)
    return factories.report(evidence=factories.evidence(plan=made))


def test_the_hub_s_own_reader_finds_every_rule_s_result() -> None:
    from huggingface_hub import ModelCard

    report = factories.report()
    data = ModelCard(model_card(report), ignore_metadata_errors=False).data
    found = {(each.metric_type, each.dataset_type): each.metric_value for each in data.eval_results}
    assert found["presence", "mace-gov/direct"] == 0.0
    assert round(found["presence_upper_bound", "mace-gov/direct"], 3) == 0.049
    assert round(found["retention", "mace-gov/unrelated"], 3) == 0.983
    assert len(data.eval_results) == 2 * len(report.verdict.findings)
    assert (data.license, data.pipeline_tag, data.library_name) == ("apache-2.0", "text-to-image", "diffusers")


def test_a_hub_model_is_named_as_the_base_and_a_folder_is_not() -> None:
    hub = metadata(model_card(on("CompVis/stable-diffusion-v1-4")))
    assert (hub["base_model"], hub["license_link"]) == (
        "CompVis/stable-diffusion-v1-4", "https://huggingface.co/CompVis/stable-diffusion-v1-4")
    folder = metadata(model_card(on("my-model")))
    assert "base_model" not in folder and folder["license"] == "other"


def test_it_says_the_verdict_as_it_stands_how_to_verify_and_what_it_does_not_claim() -> None:
    report = factories.report()
    card = model_card(report)
    for said in ("**PASS**", report.verdict.governed_digest, report.keyid, "0 of 60", "2505.16174",
                 "    mace-gov verify reports/nsfw-v1 --key pipeline.pub.pem", "| NSFW-001 |"):
        assert said in card
    failed = factories.report(verdict=factories.verdict(outcome="FAIL", findings=[factories.finding(outcome="FAIL")]))
    assert metadata(model_card(failed))["tags"][-1] == "verdict-fail" and "**FAIL**" in model_card(failed)


def test_nothing_that_was_brought_is_markup() -> None:
    value = factories.policy().to_json()
    value["spec"]["categories"][0]["concepts"][0]["target"] = "<img src=x> [click](http://evil) | `x`"
    card = model_card(factories.report(policy=Policy.from_json(value)))
    assert "<img" not in card and "[click](" not in card
    assert r"&lt;img src=x&gt; \[click\](http://evil) \| \`x\`" in card


def test_the_same_bytes_twice() -> None:
    assert model_card(factories.report()) == model_card(factories.report())
