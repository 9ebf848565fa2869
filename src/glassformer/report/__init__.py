"""Figures and the HTML report, made from files."""
