"""Fit the erasure to the model at hand: the mildest setting that erases, found before the erasure begins.

line     settings from mild to strong, ordered by what their closed form does to text states; no picture is drawn
search   pictures along that line: a bisection for the mildest point that erases
fit      the verb: from a plan to the plan with the settings found, kept by content

Above erase and audit, since it asks for pictures of what was erased; nothing here is signed or gated.
"""
