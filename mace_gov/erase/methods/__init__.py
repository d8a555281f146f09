"""The erasers behind one protocol: a plan and a pristine pipeline in, an erasure delta out. One method a file.

    mace       refinement, a LoRA for each concept, fusion             (Lu et al., CVPR 2024)
    uce        the concepts' own tokens edited in closed form          (Gandikota et al., WACV 2024)
    nullspace  the same within the null space of the preserve set      (SPEED; Li et al., ICLR 2026)
    oce        projections turned by an orthogonal matrix each         (after Sun et al., ICML 2026)
    cure       the targets' own spectrum projected out                 (Das Biswas et al., NeurIPS 2025)
    valuespace values without what sets the targets apart              (of PARSE's kind)
    neurons    names recognised as a whole by the text encoder   (after Transformer-Patcher; Huang et al., ICLR 2023)
    esd        fine-tuned cross-attention                              (ESD-x; Gandikota et al., ICCV 2023)

``mace_gov.documents.method_info`` declares them. mace, uce and nullspace solve one d x d system, by ``refine.solve``.
"""

JOINT_METHOD = "mace_gov.erase.methods.context:context"
"""For models whose text enters by joint attention."""
