"""Keyless signatures by Sigstore: an identity of an OpenID provider signs, with a key that lives for minutes.

What is signed is the verdict's envelope, byte by byte; it names evidence, policy and model by digest. The bundle is
Sigstore's own: ``sigstore verify identity`` reads it as well. It comes beside the pipeline's signature, never instead.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from mace_gov.core.atomic import write_bytes
from mace_gov.core.errors import IncompleteError, IntegrityError, UsageError
from mace_gov.core.files import SMALL_BYTES, read_file
from mace_gov.core.lazy import require
from mace_gov.documents.evidence import VerifiedEvidence
from mace_gov.documents.registry import VERDICT_NAME

EXTRA = "sigstore"
TOKEN_VARIABLE = "SIGSTORE_ID_TOKEN"
"""Environment variable with an identity token, as GitLab gives it to a job; GitHub's and others are found."""


def sign_keyless(verified: VerifiedEvidence, out: Path, *, trust_config: Path | None = None) -> str:
    """Sign a verified verdict as whoever this process is by its identity token; the bundle goes to ``out``.

    ``trust_config`` is a Sigstore client trust configuration (JSON) of other servers than the public ones. Returns the
    identity. Raises MissingExtraError, UsageError without a token, IncompleteError when a server does not answer.
    """
    signing, oidc, models = (require(f"sigstore.{part}", EXTRA) for part in ("sign", "oidc", "models"))
    config = _config(models, trust_config, offline=False)
    try:
        raw = os.environ.get(TOKEN_VARIABLE) or oidc.detect_credential()
        token = oidc.IdentityToken(raw) if raw else None
    except Exception as error:
        raise UsageError(f"the identity token cannot be used: {error}", hint=f"See {TOKEN_VARIABLE}.") from error
    if token is None:
        raise UsageError("found no identity token, expected one of an OpenID provider",
                         hint=f"Run in CI with `id-token: write`, or put a token into {TOKEN_VARIABLE}.")
    try:
        with signing.SigningContext.from_trust_config(config).signer(token) as signer:
            bundle = signer.sign_artifact(read_file(verified.folder / VERDICT_NAME))
    except Exception as error:  # its clients raise many kinds, and none of them names the server
        raise IncompleteError(f"Sigstore did not sign as {token.identity}: {_said(error)}",
                              hint="Are its servers reachable from here? Nothing was written.") from error
    write_bytes(out, bundle.to_json().encode())
    return str(token.identity)


def check_keyless(
    verified: VerifiedEvidence, bundle: Path, *, identity: str, issuer: str, trust_config: Path | None = None
) -> str:
    """What was checked, in words: ``identity``, by ``issuer``'s word, signed this very verdict. Works offline.

    Without ``trust_config`` the roots are those of the public servers as they came with the package or were last seen.
    Raises IntegrityError that names the bundle, MissingExtraError, UsageError for a trust configuration that is none.
    """
    models, verifying, policy = (require(f"sigstore.{part}", EXTRA) for part in ("models", "verify", "verify.policy"))
    config = _config(models, trust_config, offline=True)
    try:
        made = models.Bundle.from_json(read_file(bundle, SMALL_BYTES))
        verifying.Verifier(trusted_root=config.trusted_root).verify_artifact(
            read_file(verified.folder / VERDICT_NAME), made, policy.Identity(identity=identity, issuer=issuer)
        )
    except Exception as error:  # whatever it is, it was not verified
        raise IntegrityError(f"{bundle}: no signature of {identity} ({issuer}) on {VERDICT_NAME}: {_said(error)}",
                             hint="Ask who signed, and when; `mace-gov sign-keyless` signs a verdict.") from error
    return f"{VERDICT_NAME}: signed without a kept key by {identity}, as {issuer} says; in the transparency log"


def _config(models: Any, path: Path | None, *, offline: bool) -> Any:
    """The servers and their roots."""
    if path is None:
        try:
            return models.ClientTrustConfig.production(offline=offline)
        except Exception as error:
            raise IncompleteError(f"Sigstore's roots of trust could not be fetched: {_said(error)}",
                                  hint="Is the network reachable? Or give --trust-config FILE.") from error
    try:
        return models.ClientTrustConfig.from_json(read_file(path, SMALL_BYTES).decode("utf-8"))
    except Exception as error:
        raise UsageError(f"{path}: found no client trust configuration of Sigstore: {_said(error)}") from error


def _said(error: Exception) -> str:
    return next(iter(str(error).splitlines()), "") or type(error).__name__
