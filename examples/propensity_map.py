"""Draw predicted and simulated propensities of a held-out configuration: python examples/propensity_map.py DATASET.

DATASET holds configurations with draws and inherent structures at T = 0.44, such as BOTAN's:

    glassformer import isoconfig_*.npz --out DATASET
    glassformer quench DATASET

The recipe, `ka-t0.44-t4120-fast` unless another is named after DATASET, is fitted without the configurations that it
predicts. The one shown has the median Pearson correlation over the A particles; of it, the slab in which the simulated
propensity varies most. Output: propensity-map.png.
"""

import sys
from dataclasses import replace
from pathlib import Path

import matplotlib as mpl
import numpy as np

from glassformer.core.presets import load_recipe
from glassformer.core.progress import Silent
from glassformer.dataset.folder import read_dataset
from glassformer.evaluate.held_out import held_out_rows
from glassformer.report.propensity_figures import SLAB, map_figure, typical
from glassformer.report.style import STYLE
from glassformer.train.held_out import held_out_predictions
from glassformer.train.propensity import train_predictor

dataset, name = [*sys.argv[1:], "ka-t0.44-t4120-fast"][:2]
recipe, samples = load_recipe(name), read_dataset(Path(dataset))
held_out = held_out_predictions(train_predictor(samples, recipe, Silent()), samples, recipe)
row = held_out_rows([held_out])[0]
shown = typical(row)
print(f"{held_out.configurations[shown]}: Pearson {row.pearson[shown]:.3f}")
print(f"mean over configurations: {row.score.pcc_mean:.3f} ± {row.score.pcc_error:.3f}")

where, edge = held_out.of_particles(shown), held_out.box[shown, 2]
heights = held_out.positions[where, 2]
lowest = max(np.arange(0, edge, 0.5), key=lambda z: held_out.label[where, 0][(heights - z) % edge < SLAB].var())
positions = held_out.positions.copy()
positions[where, 2] = (heights - lowest) % edge
held_out = replace(held_out, positions=positions)
with mpl.rc_context(STYLE):  # type: ignore[arg-type]
    map_figure(held_out, shown, 0, float(row.pearson[shown])).savefig("propensity-map.png", dpi=130)
