"""Where a governed version stands: numbered folders on disk, and lineage in MLflow.

versions   allocate, list and find version folders; never imports MLflow
database   the SQLite file: made beside and renamed, whatever its path
store      MLflow's client on SQLite or on a tracking server, imported late and kept quiet
lineage    record base model, erasure, governed model and audit; publish or withdraw a version
recorded   what MLflow knows of the versions here; ends the records of runs that were killed
collect    what may go: dead runs, records without a folder, old versions
releases   aliases and tags of what was released; ``models:/`` references led to files
server     a version's files, and the chain of releases, on a tracking server
metrics    erasure and audit as the flat numbers of a run
"""
