"""Model governance for text-to-image models: erase banned concepts, prove it, sign it, gate the release.

The map, which is also the order of work; each arrow is a document in ``mace_gov.documents``::

    policy -> plan -> erase -> audit -> record -> attest -> gate -> report

``workflow`` joins the stages; ``cli`` is the terminal; ``diffusion`` is the only door to diffusers; ``core`` knows no
word of the domain. Nothing heavy is imported before it is used.
"""

__version__ = "0.1.0"
