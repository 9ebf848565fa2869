"""Predictions and labels to scores, with their errors and the ceiling that the draws' noise leaves."""
