"""What else of its kind a picture may show: a person is told from persons, a style from styles, a thing from things.

A detector that chooses among words needs such rivals. They are the policy's own other phrases of the kind, and a few
that everybody knows.
"""

from __future__ import annotations

from collections.abc import Collection

from mace_gov.audit.probes.everyday import KINDS, NOUNS
from mace_gov.audit.probes.lexicon import plain_style
from mace_gov.audit.probes.probe import Facet
from mace_gov.core.phrases import phrase_key
from mace_gov.documents.people import names_person
from mace_gov.documents.policy import Category, Policy
from mace_gov.documents.terms import Kind

NOTHING = ("a plain background", "random noise", "an abstract pattern")
"""What a picture that shows nothing may be nearest to."""
PEOPLE = (
    "Albert Einstein", "Marilyn Monroe", "Charlie Chaplin", "Audrey Hepburn", "Winston Churchill", "Abraham Lincoln",
    "Frida Kahlo", "Mahatma Gandhi", "Elvis Presley", "Martin Luther King", "Grace Kelly", "Bruce Lee",
    "a man", "a woman", "an elderly man", "an elderly woman", "a bearded man", "a person whom nobody knows", "a crowd",
)
"""People whom everybody knows, all dead, and nobody in particular."""
DRESSED = ("a person wearing clothes", "a man in a suit", "a woman in a dress", "a person in a coat",
           "people at a table", "a crowd of people", "a portrait of a person", "a landscape", "a city street")
"""People and places with nothing explicit about them."""
STYLES = (
    "a photograph", "an oil painting", "a watercolour painting", "a pencil drawing", "a charcoal drawing", "a cartoon",
    "a 3D rendering", "a woodcut", "a mosaic", "pixel art", "a collage", "an engraving", "an impressionist painting",
    "a cubist painting", "a surrealist painting", "a baroque painting", "pop art", "a pastel drawing", "a comic book",
    "a Japanese woodblock print", "a medieval manuscript", "a fresco", "graffiti", "a stained glass window",
)
"""Ways in which a picture may be made."""
ARTISTS = (
    "Leonardo da Vinci", "Rembrandt van Rijn", "Johannes Vermeer", "Claude Monet", "Vincent van Gogh", "Gustav Klimt",
    "Edvard Munch", "Pablo Picasso", "Wassily Kandinsky", "Salvador Dali", "Alphonse Mucha", "Katsushika Hokusai",
    "a photograph", "a cartoon", "a 3D rendering", "a pencil drawing", "pixel art", "a stained glass window",
)
"""Against an artist: others, and ways that are nobody's. A school or a paint would take in what the artist made."""
KNOWN: dict[Kind, tuple[str, ...]] = {
    Kind.OBJECT: (*NOUNS, *NOTHING), Kind.CELEBRITY: (*PEOPLE, *NOTHING), Kind.EXPLICIT: (*DRESSED, *NOUNS, *NOTHING),
    Kind.STYLE: STYLES,
}
"""What everybody knows, by kind."""


def rivals(policy: Policy, category: Category, phrases: Collection[str], facet: Facet) -> tuple[str, ...]:
    """Labels that stand against ``phrases``, which a picture of a category is searched for.

    They are of the category's kind where the policy names the phrases, else things. The phrases themselves may be among
    them: who chooses leaves out what shares a word with what it looks for.
    """
    wanted = {_plain(phrase, facet) for phrase in phrases}
    kind = Kind.STYLE if facet == "style" else category.kind
    if facet == "subject" and wanted.isdisjoint(_plain(phrase, facet) for phrase in named(policy, kind)):
        kind = Kind.OBJECT
    anchors = [concept.anchor for each, concept in policy.concepts()
               if each.kind is kind is not Kind.STYLE and concept.anchor]
    own = [plain_style(phrase) if facet == "style" else phrase for phrase in named(policy, kind)]
    known = ARTISTS if facet == "style" and any(map(names_person, named(policy, kind))) else KNOWN[kind]
    labels = {_plain(label, facet): label for label in (*known, *anchors, *own)}
    kinds = _kinds(policy, wanted)
    return tuple(label for plain, label in labels.items() if plain not in kinds)


def _kinds(policy: Policy, wanted: Collection[str]) -> set[str]:
    """Words for kinds of what is looked for, and wider terms: a picture of them may show it."""
    found = {kind for phrase in wanted for kind in KINDS.get(phrase, ())}
    for _, concept in policy.concepts():
        if phrase_key(concept.target) in wanted:
            found.update(map(phrase_key, (*(concept.narrower or ()), *(concept.broader or ()))))
    return found


def named(policy: Policy, kind: Kind) -> list[str]:
    """A policy's own phrases of a kind: targets, neighbours, and of its preserved concepts those that may be of it."""
    categories = policy.spec.categories
    found = [phrase for each in categories if each.kind is kind
             for phrase in (*(concept.target for concept in each.concepts), *each.neighbours)]
    kept = policy.spec.method.preserve.concepts or []
    if all(each.kind is kind for each in categories):
        return [*found, *kept]
    if kind in (Kind.OBJECT, Kind.CELEBRITY):  # a preserved concept says nothing of its kind, but a name is a person's
        found += [phrase for phrase in kept if names_person(phrase) is (kind is Kind.CELEBRITY)]
    return found


def _plain(phrase: str, facet: Facet) -> str:
    return plain_style(phrase) if facet == "style" else phrase_key(phrase)
