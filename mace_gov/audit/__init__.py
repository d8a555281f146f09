"""Look at what the base and the governed model draw, on the same prompts and seeds, and write down what was seen.

The verb is ``audit.engine.audit``. ``probes`` ask, ``detectors`` look, ``metrics`` count; the gate decides, not this
stage.
"""
