"""The thesis's experiments: training, tests on what was not seen, and scores, from a study file and a dataset."""
