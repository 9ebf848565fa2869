"""Files of other codes, one module a format."""
