"""Numbers about many pictures: rates with intervals, paired tests, the paper's measures, power, broken models."""
