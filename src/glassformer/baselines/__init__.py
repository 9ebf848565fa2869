"""What a network must beat to have learned anything."""
