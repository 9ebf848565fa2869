"""Draw the predicted and the simulated propensity of a held-out configuration: python examples/propensity_map.py DATASET.

DATASET holds configurations with draws and inherent structures at T = 0.44, such as BOTAN's:

    glassformer import isoconfig_*.npz --out DATASET
    glassformer quench DATASET

The recipe `ka-t0.44-t4120-fast` is fitted without the configurations that it predicts. The one shown has the median
Pearson correlation over the A particles. Output: propensity-map.png.
"""

import sys
from pathlib import Path

import matplotlib as mpl

from glassformer.core.presets import load_recipe
from glassformer.core.progress import Silent
from glassformer.dataset.folder import read_dataset
from glassformer.evaluate.held_out import held_out_rows
from glassformer.report.propensity_figures import map_figure, typical
from glassformer.report.style import STYLE
from glassformer.train.held_out import held_out_predictions
from glassformer.train.propensity import train_predictor

recipe, samples = load_recipe("ka-t0.44-t4120-fast"), read_dataset(Path(sys.argv[1]))
held_out = held_out_predictions(train_predictor(samples, recipe, Silent()), samples, recipe)
row = held_out_rows([held_out])[0]
shown = typical(row)
print(f"{held_out.configurations[shown]}: {row.pearson[shown]:.3f}; mean {row.score.pcc_mean:.3f} ± {row.score.pcc_error:.3f}")
with mpl.rc_context(STYLE):  # type: ignore[arg-type]
    map_figure(held_out, shown, 0, float(row.pearson[shown])).savefig("propensity-map.png", dpi=130)
