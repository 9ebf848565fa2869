"""Molecular dynamics: configurations and isoconfigurational ensembles, one file each."""
