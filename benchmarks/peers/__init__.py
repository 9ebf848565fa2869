"""Contenders of the network benchmarks, each a module that runs in a process of its own (see `worker`)."""
