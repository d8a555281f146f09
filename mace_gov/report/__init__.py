"""The compliance report: one document in, one self-contained page out.

``compose`` joins policy, verified evidence and verdict into a ``Report``; ``render`` writes it as report.json and as an
HTML page that derives from that document and the evidence folder's pictures alone; ``console`` is the short form for a
terminal. Nothing here imports torch, PIL or numpy.
"""
