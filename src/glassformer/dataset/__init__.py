"""Sample files, dataset folders, labels, splits and prediction files."""
