"""Read a policy: YAML in, one checked ``Policy`` out, or every error at once with its line."""
