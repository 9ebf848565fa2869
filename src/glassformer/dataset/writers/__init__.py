"""Samples in files of other codes: one module a format, all of them for one `columns.Structure`."""
