"""Compile, without a GPU, the kernels of lockstep for sm_90, with the types that launches give; print sizes as JSON.

The engines run as they are: what stands for the device computes nothing.
"""
