"""Searches for what brings a banned concept back, each named after its technique and written from its paper.

Transferred: found without the governed model. Adaptive: found through the governed model's gradients. Text-free: no
prompt at all. Each runs with the same budget on the base model, which shows that it finds what is there, and on a model
of random weights, which must not draw the concept: where it does, the search drew the picture and not the model.
"""
