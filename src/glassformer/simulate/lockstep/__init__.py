"""The isoconfigurational ensemble as one SIMD vector: the draws of a configuration are its lanes."""
