"""Ground floor: errors, digests, canonical JSON, atomic writes, lazy lookup. No word of the domain lives here."""
