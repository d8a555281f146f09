"""How a pipeline draws where a call does not say."""

from __future__ import annotations

import functools
import inspect
from typing import Any

from mace_gov.diffusion.pipeline import Pipeline
from mace_gov.documents.plan import GenerationSettings


def by_default(pipe: Pipeline, settings: GenerationSettings) -> Pipeline:
    """The same pipeline, which draws with these steps and this guidance unless a call gives others.

    Calls look at the class, so that it gets one of its own, by the same name: that is what ``save_pretrained`` writes.
    """
    kind: Any = type(pipe)
    usual = {"num_inference_steps": settings.steps, "guidance_scale": settings.guidance}
    known = inspect.signature(kind.__call__)

    @functools.wraps(kind.__call__)
    def call(*arguments: Any, **options: Any) -> Any:
        given = known.bind_partial(*arguments, **options).arguments
        return kind.__call__(*arguments, **{name: usual[name] for name in usual if name not in given}, **options)

    pipe.__class__ = type(kind.__name__, (kind,), {"__call__": call, "__module__": kind.__module__})
    return pipe
