"""From configurations to the graphs that networks read."""
