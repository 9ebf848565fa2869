"""glassformer: from a glass former's structure to its dynamics.

Simulate Kob-Andersen mixtures, build isoconfigurational data sets, train networks on them and score what they predict.
Units are Lennard-Jones reduced units throughout: lengths in sigma_AA, energies in epsilon_AA, masses in m, k_B = 1.
"""

__version__ = "0.1.0"
