"""Benchmarks: this package beside a named peer, in alternation in one run."""
