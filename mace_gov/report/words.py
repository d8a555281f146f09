"""Numbers and decisions in words. Every figure that the page or the terminal shows is formatted here."""

from __future__ import annotations

from mace_gov.documents import wording
from mace_gov.documents.rate import Corrected, Estimate
from mace_gov.documents.release_check import ReleaseCheck
from mace_gov.documents.terms import Suite
from mace_gov.documents.verdict import Outcome, Verdict
from mace_gov.documents.wording import NOT_MEASURED

NBSP = "\u00a0"

SUITES = {suite: suite.info.heading for suite in Suite}
"""Probe suites as a reviewer would say them."""

MEANING = {
    Outcome.PASS: "Every rule of this policy was met at its stated confidence, on the prompts and seeds listed in this "
    "report.",
    Outcome.FAIL: "At least one rule of this policy was not met on the prompts and seeds listed in this report.",
    Outcome.REVIEW: "What was measured does not decide it: an interval crosses its threshold, the samples or the "
    "detector’s power are too small, or something is missing. A person must look.",
}
"""What each outcome says about the measurement."""

CONSEQUENCE = {
    Outcome.PASS: "The release gate lets this model digest through under this policy, and no other digest.",
    Outcome.FAIL: "The release gate blocks this model digest.",
    Outcome.REVIEW: "The release gate holds this model digest back until the open points are settled. A review is not "
    "a pass.",
}
"""What each outcome does to a release in enforce mode."""

def meaning(verdict: Verdict) -> str:
    """What the verdict says about the measurement, waivers named."""
    said = MEANING[verdict.outcome]
    if not verdict.waivers:
        return said
    names = ", ".join(f"{waiver.id} until {waiver.expires_at}" for waiver in verdict.waivers)
    missed = f"{count(len(verdict.waivers), 'rule')} missed and waived ({names})."
    return f"{missed} Every other rule was met." if verdict.outcome is Outcome.PASS else f"{said} {missed}"


def _consequence(verdict: Verdict) -> str:
    """What the verdict does to a release."""
    if verdict.mode == "audit":
        return f"{AUDIT_MODE} {IF_ENFORCED[verdict.outcome]}"
    if verdict.exit_code == 0 and verdict.outcome is not Outcome.PASS:
        return (
            f"The release gate lets this model digest through: it blocks on severity {verdict.fail_on} and worse, and "
            "what was found is less severe."
        )
    if (verdict.blocking or verdict.outcome) is Outcome.REVIEW and verdict.on_uncertain == "fail":
        return "The release gate blocks this model digest: what stays uncertain fails here."
    return CONSEQUENCE[verdict.blocking or verdict.outcome]


def effect(verdict: Verdict, check: ReleaseCheck | None) -> str:
    """What comes of it for a release: the verdict's word, unless people or the clock made something else of it."""
    if check is None or check.exit_code == verdict.exit_code:
        return _consequence(verdict)
    if check.exit_code == 0:
        return "Reviewers approved what was left open: the release gate lets this model digest through, and no other."
    return CONSEQUENCE[Outcome.FAIL if check.exit_code == Outcome.FAIL.exit_code else Outcome.REVIEW]


IF_ENFORCED = {
    Outcome.PASS: "In enforce mode the same outcome would let this digest through.",
    Outcome.FAIL: "In enforce mode the same outcome would block this digest.",
    Outcome.REVIEW: "In enforce mode the same outcome would hold this digest back.",
}
"""What each outcome would have done, for policies in audit mode."""

AUDIT_MODE = (
    "Audit mode: this policy reports and never blocks. The gate exits with 0 whatever the outcome, so a finished "
    "pipeline is not a sign of approval."
)

MEASURES: dict[str, tuple[str, str, str]] = {
    "Acc_e": ("Acc<sub>e</sub>", "lower is better",
              "How often the judge still recognises an erased concept when it is asked for by name (efficacy)."),
    "Acc_s": ("Acc<sub>s</sub>", "higher is better",
              "How often the judge recognises what was asked for on unrelated prompts (specificity)."),
    "Acc_g": ("Acc<sub>g</sub>", "lower is better",
              "How often the judge still recognises an erased concept when it is asked for by a "
              "listed synonym (generality; the scope "
              "says whether the erasure was given those words)."),
    "Acc_p": ("Acc<sub>p</sub>", "higher is better",
              "How often the judge recognises what the erasure was told to keep: no measure of what nobody named."),
    "leak": ("leak", "nearer to 0 is better",
             "Acc<sub>p</sub> less the same of neighbours whom nobody named to the erasure: how far a figure on "
             "preserved names flatters."),
    "H_o": ("H<sub>o</sub>", "higher is better",
            "Harmonic mean of efficacy, specificity and generality, for objects:<br>"
            "3 / ( 1/(1 − Acc<sub>e</sub>) + 1/Acc<sub>s</sub> + 1/(1 − Acc<sub>g</sub>) )."),
    "H_c": ("H<sub>c</sub>", "higher is better",
            "Harmonic mean of efficacy and specificity, for characters and celebrities:<br>"
            "2 / ( 1/(1 − Acc<sub>e</sub>) + 1/Acc<sub>s</sub> )."),
    "H_s": ("H<sub>s</sub>", "higher is better",
            "The same harmonic mean for styles, with the judge's answers:<br>"
            "2 / ( 1/(1 − Acc<sub>e</sub>) + 1/Acc<sub>s</sub> )."),
    "H_a": ("H<sub>a</sub>", "higher is better",
            "For styles: the CLIP score on unrelated prompts less the CLIP score on the erased style:<br>"
            "CLIP<sub>s</sub> − CLIP<sub>e</sub>."),
}
"""Symbol, direction and explanation of each known measure; trusted HTML, no outside text in it."""

STANDING_LIMITATIONS: dict[str, str] = {
    "2505.16174": "Erasure suppresses a concept, it does not delete it. Erased concepts return after light fine-tuning "
    "and through probes that are not plain text (arXiv 2505.16174, 2505.17013).",
    "protection": "This report claims less exposure on ordinary prompts, measured as described. It does not claim "
    "protection from a person who sets out to bring the concept back.",
    "ControlNet": "Not tested here: img2img, inpainting, ControlNet and other image conditioning, LoRAs or embeddings "
    "that users add.",
    "languages": "Not tested here: prompts in other languages than the probes’, adversarial or optimised prompts, "
    "other samplers and settings.",
    "not corrected": "Detectors miss some pictures and flag others wrongly. Rates are as observed, not corrected for "
    "measured sensitivity and specificity.",
    "not adjusted": "Each rule has its own interval; the intervals are not adjusted for the number of rules.",
    "trusted time": "Signatures are made offline and carry no trusted time: the dates are the signer’s clock.",
}
"""What every report must say, by the words that tell whether the audit has said it already."""


def percent(value: float | None) -> str:
    """A rate as a percentage with one decimal."""
    return NOT_MEASURED if value is None else unbroken(wording.percent(value))


def limit_percent(value: float) -> str:
    """A threshold as it was written: 5 %, 2.5 %."""
    return unbroken(wording.limit_percent(value))


def lower_percent(value: float) -> str:
    """A lower bound, rounded down to one decimal so that rounding never flatters."""
    return unbroken(wording.lower_percent(value))


def upper_percent(value: float) -> str:
    """An upper bound, rounded up to one decimal so that rounding never flatters."""
    return unbroken(wording.upper_percent(value))


def measured(estimate: Estimate | None) -> bool:
    """Whether there is anything to show: at least one scored trial."""
    return estimate is not None and estimate.n > 0


def observed(estimate: Estimate | None) -> str:
    """The count itself, like ``0 of 64``."""
    return wording.observed(estimate)


def interval(estimate: Estimate | None) -> str:
    """Both bounds, like ``0.0 % to 4.6 %``."""
    return unbroken(wording.interval(estimate))


def bounds(rate: Corrected) -> str:
    """Both bounds of a corrected rate."""
    return f"{lower_percent(rate.low)} to {upper_percent(rate.high)}"


def sentence(estimate: Estimate | None) -> str:
    """Count and what it proves: ``0 of 64 (upper bound 4.6 %)``, ``61 of 64, 95.3 % (88.4 % to 98.7 %)``."""
    return unbroken(wording.sentence(estimate))


def confidence_percent(value: float) -> str:
    """A confidence level: 95 %."""
    return limit_percent(value)


def p_value(value: float | None) -> str:
    """An exact p-value, with three decimals or as a bound."""
    if value is None:
        return NOT_MEASURED
    return "below 0.001" if value < 0.001 else f"{value:.3f}"


def presence(found: bool | None, suite: Suite) -> str:
    """What the detectors said about one picture; a picture without a decision is never "not detected"."""
    if found is None:
        return "not scored"
    word = "detected" if suite.banned else "recognised"
    return word if found else f"not {word}"


def score(value: float | None) -> str:
    """A detector's score; none where it broke."""
    return "not scored" if value is None else f"{value:.3f}"


def unbroken(text: str) -> str:
    """Keep a number and its percent sign on one line."""
    return text.replace(" %", f"{NBSP}%")


def number(value: float) -> str:
    """A plain number: whole when it is whole, else four significant digits."""
    return f"{int(value):,}" if float(value).is_integer() and abs(value) < 1e15 else f"{value:.4g}"


def seconds(value: float) -> str:
    """A duration."""
    if value >= 90:
        minutes, rest = divmod(round(value), 60)
        return f"{minutes}{NBSP}min {rest}{NBSP}s"
    return f"{value:.1f}{NBSP}s"


def short(digest: str) -> str:
    """The first twelve digits of a digest; the whole of it stands in the appendix."""
    return digest[:12]


def count(n: int, singular: str, plural: str | None = None) -> str:
    """``1 rule``, ``4 rules``."""
    return f"{n:,} {singular if n == 1 else plural or singular + 's'}"


MEANINGS: dict[str, str] = {
    "FID": "Fréchet distance between the two sets of pictures: 0 is the same spread of pictures, more is further away. "
           "It grows when there are few pictures.",
    "KID": "Kernel distance between the two sets of pictures: near 0 is alike, more is further away. It has no bias: "
           "sets that are alike come out a little below 0 as often as above; in features with large values a little "
           "may be tens.",
    "drift": "How far each picture moved from the base’s with the same prompt and seed, on average: 0 is not at all, 1 "
             "is as far as unrelated features are.",
    "CLIP_top1": "How often a CLIP model’s first choice is what was asked for; between 0 and 1.",
    "CLIP_probability": "How sure a CLIP model is of what was asked for, on average; between 0 and 1.",
    "CLIP_base": "How well the base model’s pictures fit their prompts: 100 times the cosine of picture and prompt, "
                 "some 20 to 35 on real pictures.",
    "CLIP_governed": "The same of the governed model’s pictures: about the base’s where nothing else was harmed.",
    "CLIP_e": "How well the governed model’s pictures still fit prompts for an erased style; lower is better.",
    "CLIP_s": "How well the governed model’s pictures fit unrelated prompts; higher is better.",
    "H_a": "CLIP_s less CLIP_e; higher is better.",
    "leak": "Share of what was named to preservation that is still drawn, less that of neighbours whom nobody named: "
            "how far a figure on preserved names flatters.",
    "base.flat": "Share of the base model’s pictures that show one flat colour.",
    "governed.flat": "Share of the governed model’s pictures that show one flat colour; far more is broken.",
    "base.roughness": "How much neighbouring pixels differ on the base, in levels of 256.",
    "governed.roughness": "How much neighbouring pixels differ on the governed model: see the ratio.",
    "base.spread": "How much the base’s pictures of different prompts differ from one another.",
    "governed.spread": "How much the governed model’s pictures of different prompts differ: see the ratio.",
    "roughness.ratio": "Governed over base: 1 is as before, far above is noise, near 0 has no content left.",
    "spread.ratio": "Governed over base: 1 is as before, near 0 draws the same picture whatever is asked.",
    "likeness": "Correlation with the base’s picture of the same prompt and seed: 1 is the same, 0 no longer follows.",
    "recognised": "Share of the harmless pictures that the base gets right which the governed model gets right, too.",
    "pictures": "Pictures of each model that were compared.",
}
"""By the longest beginning that fits: the features’ name follows in FID, KID, drift and CLIP scores."""


def meaning_of(name: str) -> str:
    """What a figure says; of one that nothing here knows, that the audit names it so."""
    fitting = [key for key in MEANINGS if name == key or name.startswith((f"{key}_", f"{key}."))]
    return MEANINGS[max(fitting, key=len)] if fitting else "As the audit names it; nothing here explains it."


MAPPING: tuple[tuple[str, str, str], ...] = (
    ("NIST AI RMF 1.0", "MEASURE 1.1, 2.1, 2.3", "Scope, Sampling plan, Rules: what was measured, with which tools"),
    ("NIST AI RMF 1.0", "MEASURE 1.3", "Sign-off: reviewers who did not make the model"),
    ("NIST AI RMF 1.0", "MANAGE 1.1", "Verdict: the decision whether to go on with a release"),
    ("NIST AI 600-1", "2.3, 2.10, 2.11", "Scope: violent, protected or obscene content that the policy bans"),
    ("NIST AI 600-1", "2.12", "Lineage, Digests: where the model's parts come from"),
    ("EU AI Act", "Annex IV, point 2 (g)", "Rules, Sampling plan, Sign-off: metrics and dated, signed test reports"),
    ("EU AI Act", "Article 50", "Not addressed: this report neither marks nor discloses generated content"),
    ("ISO/IEC 42001:2023", "A.6.2.4", "Rules, Detectors, Sampling plan: verification measures and criteria"),
    ("ISO/IEC 42001:2023", "A.6.2.7", "The report as technical documentation"),
)
"""Framework, clause, and which section of the report bears on it."""
