"""Where a governed version stands: numbered folders on disk, and lineage in MLflow.

versions   allocate, list and find version folders; never imports MLflow
store      MLflow's client on SQLite, imported late and kept quiet
lineage    record base model, erasure, governed model and audit; publish or withdraw a version
metrics    erasure and audit as the flat numbers of a run
"""
