"""Join a policy with a base model: every setting filled in, what will be reused, what it costs."""
