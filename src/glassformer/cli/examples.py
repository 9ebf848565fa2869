"""An example for each command, shown at the end of its help."""

EXAMPLES = {
    "demo": "demo --out demo",
    "experiment": "experiment thesis --scale demo",
    "simulate": "simulate demo --out data --set particles=1000",
    "sbatch": "sbatch thesis --out data --cores 8 --time 24:00:00 > job.sh",
    "plan": "plan thesis --workers 64",
    "status": "status data",
    "quench": "quench data",
    "ends": "ends data --out ends --draws 8",
    "cage": "cage data --kind window",
    "train": "train default data --out training",
    "predict": "predict training/fold-0/model.safetensors data --out predictions.h5",
    "evaluate": "evaluate training/predictions.h5 --data data",
    "propensity": "propensity liquid.lammpstrj --mixture kob-andersen --temperature 0.44 --report page.html",
    "leaderboard": "leaderboard predictions.h5 --trained-on 400",
    "report": "report demo",
    "verify": "verify data",
    "repair": "repair data --recompute",
    "info": "info run.lammpstrj",
    "import": "import run.lammpstrj --mixture kob-andersen --temperature 0.44 --out data",
    "export": "export data --to extxyz --out structures",
    "analyse": "analyse run.lammpstrj --time-step 0.005 --mixture kob-andersen --report page.html",
    "baselines": "baselines data --time 2",
    "networks": "networks particlenet --measure",
    "mixtures": "mixtures kob-andersen --show",
    "mode-coupling": "mode-coupling --out correlators --couplings 3.9,4,4.1",
    "doctor": "doctor",
    "bench": "bench train-step --particles 1000",
    "bench isoconfigurational": "bench isoconfigurational --steps 5000",
    "bench gpu": "bench gpu --configurations 64",
    "bench train-step": "bench train-step --particles 1000",
    "bench predict": "bench predict --threads 1",
    "bench neighbors": "bench neighbors --particles 4096",
    "bench cost": "bench cost --particles 1000 --particles 4096",
}


def example(name: str) -> str:
    """Return the last line of the help of the command `name`, such as 'bench cost'."""
    return f"Example: glassformer {EXAMPLES[name]}"
