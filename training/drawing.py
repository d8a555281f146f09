"""Draw many prompts at once with the shipped sampler; the same numbers as StableDiffusionPipeline gives."""
import torch

STEPS, GUIDANCE = 20, 3.0


@torch.no_grad()
def draw_prompts(pipe, prompts: list[str], seed: int = 0, batch: int = 64, steps: int = STEPS,
                 guidance: float = GUIDANCE) -> torch.Tensor:
    """Pictures, float32 [n, 3, 32, 32] in -1..1."""
    out, generator = [], torch.Generator().manual_seed(seed)
    encode = lambda texts: pipe.text_encoder(pipe.tokenizer(  # noqa: E731
        texts, padding="max_length", max_length=77, truncation=True, return_tensors="pt").input_ids)[0]
    nothing = encode([""])
    for at in range(0, len(prompts), batch):
        part = prompts[at:at + batch]
        text = torch.cat([nothing.expand(len(part), -1, -1), encode(part)])
        x = torch.randn((len(part), 4, 8, 8), generator=generator)
        pipe.scheduler.set_timesteps(steps)
        for t in pipe.scheduler.timesteps:
            plain, asked = pipe.unet(torch.cat([x, x]), t, text).sample.float().chunk(2)
            x = pipe.scheduler.step(plain + guidance * (asked - plain), t, x).prev_sample
        out.append(pipe.vae.decode(x / pipe.vae.config.scaling_factor).sample.clamp(-1, 1))
    return torch.cat(out)


def sheet(pictures: torch.Tensor, columns: int, place, zoom: int = 3) -> None:
    from PIL import Image
    padded = torch.nn.functional.pad(pictures, (0, 1, 0, 1), value=1.0)
    padded = torch.cat([padded, padded.new_ones(-len(padded) % columns, *padded.shape[1:])])
    n, c, h, w = padded.shape
    grid = padded.view(n // columns, columns, c, h, w).permute(0, 3, 1, 4, 2).reshape(n // columns * h, columns * w, c)
    image = Image.fromarray(((grid + 1) * 127.5).clamp(0, 255).byte().numpy())
    image.resize((image.width * zoom, image.height * zoom), 0).save(place)
