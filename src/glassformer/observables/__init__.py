"""Observables in float64: arrays in, arrays out."""
