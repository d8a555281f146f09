"""One of each: a detector, an eraser, a probe suite, a report format, a mask provider, and the rows that declare them.
"""
