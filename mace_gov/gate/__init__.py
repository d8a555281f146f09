"""Decide on verified evidence under a policy. Fails closed: what was not shown is never PASS.

rules    one rule against its measurement; pure
decide   all rules and what holds for the model as a whole
"""
