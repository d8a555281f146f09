"""Sign what was done, measured and decided; verify it later without trusting the folder it lies in.

keys       Ed25519 key pair of the pipeline, and pinned public keys
dsse       the envelope: pre-authentication encoding, sign, open
statement  in-toto statements: evidence, summary, report
sign       write the envelopes
folder     re-hash a folder and name every file that differs
locate     what kind of path was given, and which version speaks about a model
agree      do the documents inside the envelopes agree with one another?
verify     all of it, in order; the only maker of ``VerifiedEvidence``
"""
