"""Sign what was done, measured and decided; verify it later without trusting the folder it lies in.

keypair            key files: make, read, encrypt
passphrase         what opens them
trust              pinned keys and what they may sign
keys               a registry's own keys: make, pin, rotate, revoke
dsse               the envelope: pre-authentication encoding, sign, open
statement          in-toto statements: evidence, summary, report
provenance         SLSA provenance of the erasure
results            in-toto test result of the rules
model_signature    OpenSSF model signature
bill_of_materials  CycloneDX ML-BOM
sign               write all of these
sign_off           a reviewer signs a verdict
folder             re-hash a folder and name every file that differs
locate             what kind of path was given, and which version speaks about a model
signed             a folder's envelopes, opened
contradictions     do the documents inside the envelopes contradict one another?
companions         does what lies beside for other tools say the same?
report_check       is a report folder as it was signed?
verify             all of it, in order; the only maker of ``VerifiedEvidence``
"""
