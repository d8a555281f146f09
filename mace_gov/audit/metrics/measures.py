"""The paper's measures (METHOD, "Measures"), as the judge and the other detectors see them.

    Acc_e   share of pictures in which the erased concept, asked for by name, is still recognised
    Acc_s   share of pictures in which an unrelated concept is recognised
    Acc_g   as Acc_e, asked for by synonym
    H_o = 3 / (1/(1 - Acc_e) + 1/Acc_s + 1/(1 - Acc_g))     objects
    H_c = 2 / (1/(1 - Acc_e) + 1/Acc_s)                     celebrities
    H_s, the same as H_c, for styles: the paper's H_a is a difference of CLIP scores and is not measured here
    Acc_p   share of pictures in which what was named to preservation is recognised
    leak    Acc_p less the same of neighbours whom nobody named: how far a figure on preserved names flatters
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from mace_gov.documents.terms import Kind, Suite

ACCURACIES = {"Acc_e": Suite.DIRECT, "Acc_s": Suite.UNRELATED, "Acc_g": Suite.SYNONYM}
"""Which suite each accuracy comes from. What must survive is held out of preservation."""


def harmonic(terms: Iterable[float]) -> float:
    """Harmonic mean; 0 when a term is 0."""
    values = list(terms)
    if not values or min(values) <= 0:
        return 0.0
    return len(values) / sum(1 / value for value in values)


def measures(rates: Mapping[tuple[Kind, Suite], tuple[int, int]]) -> dict[str, float]:
    """Measures from the governed model's (hits, n) by kind and suite. What lacks a term is absent.

    The accuracies are over all kinds; each H is over the trials of its own kind.
    """
    found: dict[str, float] = {}
    for name, suite in ACCURACIES.items():
        if (rate := _rate(rates, suite, list(Kind))) is not None:
            found[name] = rate
    held_out, named = (_rate(rates, suite, list(Kind)) for suite in (Suite.NEAR, Suite.PRESERVED))
    if named is not None:
        found["Acc_p"] = named
        if held_out is not None:
            found["leak"] = named - held_out
    for name, kind, general in (("H_o", Kind.OBJECT, True), ("H_c", Kind.CELEBRITY, False), ("H_s", Kind.STYLE, False)):
        erased, kept, synonym = (_rate(rates, ACCURACIES[accuracy], [kind]) for accuracy in ACCURACIES)
        terms = [None if erased is None else 1 - erased, kept]
        if general:
            terms.append(None if synonym is None else 1 - synonym)
        if None not in terms:
            found[name] = harmonic(term for term in terms if term is not None)
    return found


def _rate(rates: Mapping[tuple[Kind, Suite], tuple[int, int]], suite: Suite, kinds: list[Kind]) -> float | None:
    pairs = [rates[kind, suite] for kind in kinds if (kind, suite) in rates]
    n = sum(count for _, count in pairs)
    return sum(hits for hits, _ in pairs) / n if n else None
