"""What looks at the pictures, one detector a file; ``registry`` lists them without importing any."""
