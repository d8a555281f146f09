"""MACE: refine all cross-attention projections in closed form, train a LoRA for each concept, fuse in closed form.

One stage of the method a file, in order: ``preserve``, ``refine``, ``pictures`` and ``masks``, ``timesteps``,
``suppression``, ``lora``, ``fuse``, ``delta``; ``engine`` holds the verb ``erase``. Letters are the paper's.
"""
