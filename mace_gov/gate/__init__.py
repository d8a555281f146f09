"""Decide on verified evidence under a policy. Fails closed: what was not shown is never PASS.

rules       one rule against its measurement; pure
waive       a rule once more under a waiver's limit
changed     a policy that is not the one the evidence was made under: what of it is answered
regression  against the last compliant version, on the same prompts and seeds
decide      all of it, and what holds for the model as a whole
"""
