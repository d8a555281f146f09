"""Erase concepts: from a plan and the pristine base to a delta, by one of the methods in ``methods``.

MACE, the default, has one stage a file, in order: ``preserve``, ``refine``, ``pictures`` and ``masks``, ``timesteps``,
``suppression``, ``lora``, ``fuse``, ``delta``; ``engine`` holds the verb ``erase``. Letters are the paper's.
"""
