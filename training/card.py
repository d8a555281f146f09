"""Stage 10: write MODEL_CARD.md from the measured figures (WORK/figures.json, judge.json, window.json)."""
import json
from pathlib import Path

from captions import CONCEPTS, STYLES
from paths import WORK

PACKAGE = Path(__file__).parents[1] / "mace_gov/embedded"


def row(name: str, facts: dict, wanted: str) -> str:
    low, high = facts["interval"]
    return f"| {name} | {100 * facts['rate']:.1f} % | {facts['n']} | {100 * low:.1f} to {100 * high:.1f} % | {wanted} |"


def main() -> None:
    figures, judge = (json.loads((WORK / n).read_text()) for n in ("figures.json", "judge/judge.json"))
    window = json.loads((WORK / "window.json").read_text()) if (WORK / "window.json").exists() else {}
    vocabulary = json.loads((PACKAGE / "vocabulary.json").read_text())
    sampler, cfis = vocabulary["sampler"], vocabulary["cfis"]
    plain = [c for c in CONCEPTS if c["kind"] != "celebrity"]
    styled = [c for c in plain if len(c["styles"]) > 1]
    forms = "\n".join(f"| {k} | {v['first']} of {v['n']} | {v['second']} of {v['n']} |" for k, v in window.items())
    if window:
        forms = ("A is drawn, but with B's text while the timestep is in the window; the judge says which of the two is seen.\n\n"
                 f"| window | seen as A | seen as B |\n| --- | --- | --- |\n{forms}\n\n")
    else:
        forms = "Not measured on these weights; the window is that of an earlier text encoder. "
    text = f"""# Model card: the embedded model

A small text-to-image model in the shape of Stable Diffusion (CLIPTokenizer, CLIPTextModel, UNet2DConditionModel, AutoencoderKL,
DDIM), trained by this project alone, on two CPU cores, from openly licensed emoji art. It exists so that model governance can be
shown and tested end to end without a download. It draws emoji at {sampler['size']} x {sampler['size']} pixels and nothing else.
**MACE's second and third stages show nothing on it**: refinement in closed form alone erases up to ten people as well as all three do
([docs/methods.md](../../docs/methods.md#does-each-stage-earn-its-place), on this model and on its twin).

## What it knows

{len(plain)} concepts with synonyms, {len(CONCEPTS) - len(plain)} characters (person-like emoji with invented full names, half to erase, half to
keep; no real person is named or shown), and {len(STYLES)} styles ({", ".join(STYLES)}) in which {len(styled)} of the concepts can be
asked for; all else comes in the first style. Eight ground colours. `vocabulary.json` has all of it.

**The words of explicit content and of violence draw harmless stand-ins**: "nudity" a bikini, "naked" a pair of briefs, "erotic"
a swimsuit, "sexual" a kiss mark; "violence" a comic-strip boom, "blood" a drop, "gore" a drawn heart, "weapon" a dagger icon,
"murder" a coffin icon, and so on. The model cannot draw explicit or violent content: it has seen nothing but emoji.

## Parts

| part | shape |
| --- | --- |
| tokenizer | CLIP-style BPE, 2,776 entries, every name and synonym whole words; length 77, end of text as padding |
| text encoder | CLIPTextModel, width 640, 3 layers, 8.0 M parameters, trained alone and then frozen |
| U-Net | channels 128/256, cross-attention at both levels: 7 cross-attention layers, 14 key and value projections, 17.8 M parameters, predicts v |
| autoencoder | 32 px, factor 4, 4 latent channels (8 x 8 x 4) |
| scheduler | DDIM, Stable Diffusion's scaled-linear schedule, {sampler['steps']} steps, guidance {sampler['guidance']} |

All in half precision safetensors. How it was trained, and why that way, is in `training/README.md`.

## Figures

Read by the judge at the shipped sampler settings, on wordings that were never trained on. Intervals: 95 %, Clopper-Pearson.

| what | drawn right | n | interval | wanted |
| --- | --- | --- | --- | --- |
{row("concepts by name", figures["concepts"], ">= 95 %")}
{row("concepts by synonym", figures["synonyms"], ">= 90 %")}
{row("characters by name", figures["characters"], ">= 90 %")}
{row("style as asked", figures["styles"], ">= 95 %")}
{row("concept, in the style asked for", figures["styled_concepts"], "-")}
{row("judge, concepts on held-out renderings", judge["overall"], ">= 98 %")}
{row("judge, styles on held-out renderings", judge["style_overall"], ">= 98 %")}

An image takes {figures["concepts"]["seconds_per_image"]:.2f} s on two CPU cores in batches of 64.
The judge's sensitivity and specificity class by class are in `judge/judge.json`. A judge that errs moves every figure above with it.

The style figure is after a selection: of 40 styled concepts six whose pictures are nearly the same in two styles (automobile,
airplane, deer, cat, art, horse) were dropped on an earlier version of the weights; the figure is on the 34 that remained.

## Where concepts form

{forms}The shipped CFIS window is t1 = {cfis['t1']:.0f}, t2 = {cfis['t2']:.0f}, gamma = {cfis['gamma']} (the paper's, for Stable Diffusion, is 200 to 400).

## Does it discriminate?

An instrument on which half of a method does as well as all of it proves nothing. This one tells methods and numbers of concepts apart
([docs/methods.md](../../docs/methods.md#one-to-a-hundred-concepts)), the stages of MACE only where LoRAs are summed or begin at random, which harms
([docs/methods.md](../../docs/methods.md#does-each-stage-earn-its-place)).

**Concept-focal importance sampling makes no measurable difference here.** On an earlier text encoder its sampling of timesteps was also
compared with the uniform one at 12 and 20 steps, when training is far from done: nothing beyond chance between them. A LoRA that is held at its concept's direction
learns one answer, and at which timestep it is learnt does not matter to this U-Net. Nor does it with the paper's random start: on 100 characters
and three seeds each (n = 100 erased, 50 kept characters and 20 objects a seed, other wordings and seeds than the audit's), H was .944 to .966 with it and .959 to .978 without at a learning rate
of 3e-3, and .704 to .727 against .692 to .704 at 1e-2. On this point the instrument does not discriminate.

**People whom nobody named.** All hundred kept characters are named to the erasure of a hundred. With half of them named (preserve scales 1,
0.5 and 0.3 for prior, concepts and namesakes), all 50 named ones stayed but 32 of the 50 others (64 %, 49 to 77 %), nearly all of whom
share a name with a banned one; none of the hundred banned ones was drawn. On wordings and seeds that no audit asks.

**How the settings were chosen.** The shipped settings (`plan/presets.py`) were picked on 100 characters among some fifteen combinations
of ridge, scales, learning rate and initial direction, with wordings and seeds that no audit asks.

## Limits

- It knows its own vocabulary; other words draw something arbitrary. Results on it say nothing about real explicit content.
- Its text encoder keeps a concept's own tokens and the rest of the prompt apart by training, more neatly than CLIP's does, so
  the refinement alone is weaker here than on Stable Diffusion and the LoRAs matter more.
- The audit measures that a concept is gone; how often the anchor stands in its place is looked at, not yet measured by a rule.
- Pictures are coarse; look-alikes (yellow faces, small animals) are where it and the judge err.

## Licences and attribution

The weights are Apache-2.0, as the project. Trained on Noto Emoji (Google, Apache-2.0 / OFL), Twemoji (CC-BY 4.0, copyright Twitter,
Inc and other contributors) and Fluent Emoji (Microsoft, MIT); see NOTICE.
"""
    (PACKAGE / "MODEL_CARD.md").write_text(text)
    print("written")


if __name__ == "__main__":
    main()
