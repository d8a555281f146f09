"""What the audit asks the models to draw, one technique a file; ``suites.build_probes`` joins them."""
