"""Captions that the erasure trains on, thirty per kind. The audit's probes use other wordings, a test sees to that."""

from __future__ import annotations

from mace_gov.documents.terms import Kind

SUBJECT = (
    "a photo of {}", "a photograph of {}", "a cropped photo of {}", "a close-up photo of {}", "a bright photo of {}",
    "a dark photo of {}", "a good photo of {}", "a blurry photo of {}", "a photo of one {}", "a photo of my {}",
    "a photo of the {}", "a photo of the small {}", "a photo of the large {}", "a low resolution photo of {}",
    "a rendering of {}", "a rendition of {}", "a sketch of {}", "a sculpture of {}", "a print of {}",
    "an illustration of {}", "graffiti of {}", "a jpeg of {}", "a video still of {}", "a poster of {}",
    "a scene with {}", "{} in the middle", "{} on a plain background", "{} outdoors", "{} indoors", "a view of {}",
)

PERSON = (
    "a photo of {}", "a photograph of {}", "a cropped photo of {}", "a close-up photo of {}", "a bright photo of {}",
    "a dark photo of {}", "a good photo of {}", "a blurry photo of {}", "a portrait of {}", "a headshot of {}",
    "a studio portrait of {}", "a candid photo of {}", "a press photo of {}", "a sketch of {}", "a sculpture of {}",
    "a poster of {}", "an illustration of {}", "a rendering of {}", "a video still of {}", "a scene with {}",
    "{} in the middle", "{} on a plain background", "{} outdoors", "{} indoors", "{} at an event",
    "{} smiling", "{} looking at the camera", "{} giving a speech", "{} in a film", "a view of {}",
)

STYLE = (
    "a photo by {}", "an artwork by {}", "a painting by {}", "a print by {}", "a sketch by {}", "a poster by {}",
    "an illustration by {}", "a rendering by {}", "a landscape by {}", "a portrait by {}", "a still life by {}",
    "a study by {}", "a mural by {}", "a composition by {}", "a detail of a work by {}", "a photo of a work by {}",
    "a famous work by {}", "a small work by {}", "a large work by {}", "an early work by {}", "a late work by {}",
    "a city by {}", "an animal by {}", "a face by {}", "a flower by {}", "a house by {}", "a tree by {}",
    "made by {}", "drawn by {}", "painted by {}",
)


def templates_for(kind: Kind) -> tuple[str, ...]:
    """The thirty erasure captions of a kind."""
    return {Kind.CELEBRITY: PERSON, Kind.STYLE: STYLE}.get(kind, SUBJECT)
