"""Files of other codes: one module a format, all with one return type, `contents.Contents`."""
