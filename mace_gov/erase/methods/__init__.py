"""The erasers behind one protocol: a plan and a pristine pipeline in, an erasure delta out. One method a file.

    mace       refinement, a LoRA for each concept, fusion             (Lu et al., CVPR 2024)
    uce        the concepts' own tokens edited in closed form          (Gandikota et al., WACV 2024)
    nullspace  the same within the null space of the preserve set      (after SPEED, ICLR 2026)
    esd        fine-tuned cross-attention                              (ESD-x; Gandikota et al., ICCV 2023)

``mace_gov.documents.method_info`` declares them. Every closed form is one d x d matrix, so all of them end in one
solver, ``refine.solve``.
"""

JOINT_METHOD = "mace_gov.erase.methods.context:context"
"""For models whose text enters by joint attention."""
