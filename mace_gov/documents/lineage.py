"""Where a governed version comes from, as the registry knows it."""

from __future__ import annotations

from mace_gov.documents.document import Digest, Document, Slug


class Lineage(Document):
    """A version's place in the registry. Tags can be moved by anyone: the truth is the signature."""

    name: Slug
    """Registered model name: the policy's."""
    version: int
    """Number of the version in this registry, from 1."""
    tracking_uri: str
    """Scheme and kind of the MLflow store, without credentials or machine paths."""
    base_model_id: str
    """MLflow's logged model of the base."""
    governed_model_id: str
    """MLflow's logged model of the governed model."""
    erase_run_id: str
    """MLflow run of the erasure."""
    audit_run_id: str
    """MLflow run of the audit."""
    mlflow_version: int
    """Version number in MLflow's model registry."""
    base_digest: Digest
    """Ancestor."""
    governed_digest: Digest
    """This version."""
