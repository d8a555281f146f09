"""A training loop with a clock: a cosine over the seconds given, averaged weights, and on CUDA the whole step as one graph."""
import math
import sys
import time
from collections.abc import Callable
from contextlib import nullcontext

import torch
from torch import nn

WARM, DECAY = 12, 0.998


def say(*words) -> None:
    print(time.strftime("%H:%M:%S"), *words, flush=True)


def half(device: str):
    """bfloat16 arithmetic on CUDA; no cache of casts, which a graph would not refresh."""
    return torch.autocast("cuda", torch.bfloat16, cache_enabled=False) if device == "cuda" else nullcontext()


class Loop:
    """Trains ``modules`` by ``loss``, a function of nothing that draws its own batch on the device."""

    def __init__(self, name: str, modules: list[nn.Module], loss: Callable[[], torch.Tensor], device: str, *, rate: float,
                 decay: float = 0.01, graph: bool = True) -> None:
        self.name, self.loss, self.device, self.rate, self.modules = name, loss, device, rate, modules
        self.weights = [p for module in modules for p in module.parameters() if p.requires_grad]
        self.average = [p.detach().clone() for p in self.weights]
        self.lr = torch.tensor(rate / 100, device=device)
        self.last = torch.zeros((), device=device)
        cuda = device == "cuda"
        self.optimiser = torch.optim.AdamW(self.weights, lr=self.lr, betas=(0.9, 0.99), weight_decay=decay, fused=cuda or None,
                                           capturable=cuda)
        self.graph = graph and cuda

    def _step(self) -> None:
        loss = self.loss()
        loss.backward()
        nn.utils.clip_grad_norm_(self.weights, 1.0)
        self.optimiser.step()
        self.last.copy_(loss.detach())

    def _eager(self) -> None:
        self.optimiser.zero_grad(set_to_none=True)
        self._step()

    def _captured(self) -> Callable[[], None]:
        side = torch.cuda.Stream()
        side.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(side):
            for _ in range(WARM):
                self._eager()
        torch.cuda.current_stream().wait_stream(side)
        self.optimiser.zero_grad(set_to_none=True)
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph):
            self._step()
        return graph.replay

    def run(self, seconds: float, *, save: Callable[[], None] | None = None, every: float = 60, say_every: float = 10) -> None:
        """Train for so long. save: called with the averaged weights in place, every minute and at the end."""
        start = said = saved = time.time()
        step, said_at, run = 0, 0, self._captured() if self.graph else self._eager
        if self.graph:
            say(self.name, f"graph captured after {time.time() - start:.1f}s")
        while (done := (time.time() - start) / seconds) < 1 or step < 2:
            done = min(done, 1.0)
            self.lr.fill_(self.rate * min(1, (step + 1) / 150) * (0.01 + 0.99 * 0.5 * (1 + math.cos(math.pi * done))))
            run()
            step += 1
            with torch.no_grad():
                if step <= 200:
                    torch._foreach_copy_(self.average, self.weights)
                else:
                    torch._foreach_lerp_(self.average, self.weights, 1 - DECAY)
            if step % 20 == 0 and self.device == "cuda":
                torch.cuda.synchronize()                                     # or the queue runs ahead of the clock
            now = time.time()
            if now - said > say_every:
                loss = self.last.item()
                say(self.name, f"step {step} {now - start:.0f}s loss {loss:.4f} {1000 * (now - said) / (step - said_at):.1f} ms/step")
                said, said_at = now, step
                if not math.isfinite(loss):
                    sys.exit(f"{self.name}: the loss is not finite")
            if save and now - saved > every and done < 0.95:
                self._swapped(save)
                saved = time.time()
        say(self.name, f"done, {step} steps in {time.time() - start:.0f}s, loss {self.last.item():.4f}")
        with torch.no_grad():
            torch._foreach_copy_(self.weights, self.average)
        if save:
            save()

    def _swapped(self, save: Callable[[], None]) -> None:
        kept = [p.detach().clone() for p in self.weights]
        with torch.no_grad():
            torch._foreach_copy_(self.weights, self.average)
            save()
            torch._foreach_copy_(self.weights, kept)
