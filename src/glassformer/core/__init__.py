"""Array schema, errors, settings, seeds and provenance: what every other layer stands on."""
