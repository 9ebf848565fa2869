"""A network beside the ridge: propensities of the ten BOTAN configurations (T = 0.44, rho = 1.2, t = 4120).

    GLASSFORMER_DATA=... python -m benchmarks.propensity_network [--json] [--fold 0] [--seeds 1] [--cache FOLDER]
        [--network NAME] [--edges WEIGHT]

The folds are those of `benchmarks.propensity_cv`: two configurations are left out at a time; network and ridge learn
from the other eight, and nothing is chosen by what is left out. Labels are standardised by the mean and the spread of
each species in training; predictions are averaged in units of their spreads in training. Everything is kept in the
cache: a run that was stopped continues after its last epoch.
"""

import argparse
import json
import os
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from benchmarks.propensity_cv import LEFT_OUT, load
from benchmarks.propensity_edges import EdgeLearner, TwoHeads, distance_changes, edge_loader
from glassformer.baselines.propensity import LabelledParticles, PropensityModel
from glassformer.baselines.ridge import INNER_FOLDS
from glassformer.core.arrays import ByteArray, FloatArray
from glassformer.core.network_settings import CutoffGraph, NetworkSettings
from glassformer.core.provenance import parameter_hash
from glassformer.core.run import Training, load_run
from glassformer.core.seeds import generator, named_seed
from glassformer.core.settings import check_settings
from glassformer.dataset.mixtures import shipped
from glassformer.dataset.readers.botan import read_botan
from glassformer.evaluate.propensity_scores import correlation
from glassformer.graph.batch import GraphBatch, build_graph
from glassformer.graph.inputs import inherent
from glassformer.network.registry import build_network
from glassformer.observables.descriptors import DescriptorSettings
from glassformer.physics.configuration import MOST_SPECIES
from glassformer.train.data import Item, Loader, loader, make_items
from glassformer.train.examples import Example
from glassformer.train.fold import scale_of
from glassformer.train.learner import Learner
from glassformer.train.memory import keep_large_blocks

RUN = "propensity-network"
# Displacements count no further than this in one of the targets.
CAP = 1.0
LABELS = ("propensity", "logarithm", "capped", "residual")
WATCHED_EVERY = 5
MIXTURE = "kob-andersen"


@dataclass(frozen=True, eq=False)
class Subject:
    """One configuration: its graph, species (N,), and targets (N, K), of which the first is what is scored.

    `changes` (P,): those of the distances of its pairs; empty unless they are learned.
    """

    graph: GraphBatch
    species: ByteArray
    targets: FloatArray
    changes: FloatArray

    def score(self, prediction: FloatArray) -> float:
        """Return the correlation of `prediction` (N,) with the propensity over the particles of species 0."""
        of_a = self.species == 0
        return correlation(prediction[of_a], self.targets[of_a, 0])


def subject(
    source: Path,
    cache: Path,
    settings: NetworkSettings,
    known: FloatArray,
    auxiliary: Path | None = None,
    edges: bool = False,
) -> Subject:
    """Return graph and targets of a BOTAN file whose propensities the ridge predicts to be `known` (N,).

    Its inherent structure lies in the cache; a network that does not ask for it reads it in place of the configuration.
    `auxiliary`: a folder of files of the same name with propensities (K, N) at other times, whose logarithms are
    further targets. `edges`: the changes of distances are targets, too.
    """
    contents = read_botan(source)
    assert contents.draws is not None
    with np.load(cache / source.name) as file:
        configuration = replace(contents.first, inherent_positions=file["inherent_positions"])
    displacements = np.asarray(contents.draws.displacements[:, 0], np.float64)
    lengths = np.linalg.norm(displacements, axis=-1)
    mean = lengths.mean(0)
    targets = np.stack([mean, np.log(mean), np.minimum(lengths, CAP).mean(0), mean - known], 1)
    if auxiliary is not None:
        with np.load(auxiliary / source.name) as file:
            targets = np.concatenate([targets, np.log(file["propensity"].T)], 1)
    read = configuration if settings.reads_inherent else inherent(configuration)
    graph = build_graph(read, settings, shipped(MIXTURE))
    changes = distance_changes(configuration, displacements, graph) if edges else np.empty(0)
    return Subject(graph, configuration.species, targets, changes)


def split(number: int, fold: int) -> tuple[list[int], list[int]]:
    """Return the indices of the configurations that are trained on, and of those that are left out."""
    order = generator(named_seed(0, "folds")).permutation(number)
    left_out = order[LEFT_OUT * fold : LEFT_OUT * (fold + 1)].tolist()
    return [index for index in range(number) if index not in left_out], left_out


def standardised(subjects: Sequence[Subject], training: Sequence[int]) -> list[Item]:
    """Return every subject with targets less the mean, over the spread, of its species in training."""
    graphs = [[one.graph] for one in subjects]
    examples = [
        Example(graphs, number, 0, (str(number), 0, 0), one.species, one.targets, np.ones(len(one.species), np.bool_))
        for number, one in enumerate(subjects)
    ]
    mean, std = scale_of([examples[index] for index in training], each_species=True, kinds=MOST_SPECIES)
    return make_items(examples, mean, std)


def begin(
    subjects: Sequence[Subject],
    known: Sequence[int],
    items: Sequence[Item],
    seed: int,
    settings: NetworkSettings,
    training: Training,
    edges: float,
) -> tuple[Learner, Loader]:
    """Return an untrained network with its learner, and the batches of the subjects `known`."""
    torch.manual_seed(named_seed(seed, "weights"))
    outputs = subjects[0].targets.shape[1]
    chosen, unit = [items[index] for index in known], np.ones(outputs)
    if edges:
        changes = [subjects[index].changes for index in known]
        learner = EdgeLearner(TwoHeads(settings, outputs), training, seed, unit, edges)
        return learner, edge_loader(chosen, changes, training.batch_size, seed)
    return Learner(build_network(settings, outputs), training, seed, unit), loader(chosen, training.batch_size, seed)


def train(
    subjects: Sequence[Subject],
    fold: int,
    seed: int,
    settings: NetworkSettings,
    training: Training,
    folder: Path,
    edges: float = 0.0,
) -> list[FloatArray]:
    """Return the standardised predictions (N, K) of every subject by the network of `fold` and `seed`.

    `edges`: the weight of the loss of distance changes.
    """
    known, left_out = split(len(subjects), fold)
    items = standardised(subjects, known)
    learner, train_loader = begin(subjects, known, items, named_seed(seed, "fold", fold), settings, training, edges)
    watched = loader([items[index] for index in left_out], 1)
    path = folder / f"fold{fold}-seed{seed}.pt"
    if path.exists():
        learner.restore(torch.load(path, weights_only=True))
    while len(learner.history) < training.epochs:
        began, used = time.perf_counter(), time.process_time()
        learner.train_epoch(train_loader, watched)
        torch.save(learner.state(), path.with_suffix(".part"))
        path.with_suffix(".part").rename(path)
        line = learner.history[-1]
        text = f"fold {fold} seed {seed} epoch {len(learner.history)}: loss {line['train_loss']:.4f}, MAE left out"
        text += f" {line['val_mae']:.4f}; {time.perf_counter() - began:.1f} s, CPU {time.process_time() - used:.1f} s"
        if len(learner.history) % WATCHED_EVERY == 0:
            text += f"; {correlations(learner, [subjects[index] for index in left_out])}"
        print(text, file=sys.stderr, flush=True)
    return [predict(learner, one) for one in subjects]


def correlations(learner: Learner, subjects: Sequence[Subject]) -> str:
    """Return in words the mean correlations of every output with the propensity, and those of the pairs."""
    scores = [[one.score(column) for column in predict(learner, one).T] for one in subjects]
    text = f"correlations {np.mean(scores, 0).round(4).tolist()}"
    if isinstance(learner, EdgeLearner):
        pairs = [correlation(learner.predict_pairs(one.graph), one.changes) for one in subjects]
        text += f", of pairs {np.mean(pairs):.4f}"
    return text


@torch.no_grad()
def predict(learner: Learner, one: Subject) -> FloatArray:
    """Return the standardised predictions (N, K) for one subject."""
    outputs: FloatArray = learner.network.eval()(one.graph.to(learner.device)).double().cpu().numpy()
    return outputs


def ridge(sources: Sequence[Path], fold: int, cache: Path, threads: int) -> tuple[list[FloatArray], list[FloatArray]]:
    """Return the predictions (N,) of every configuration by the ridge that learns from the fold's training set.

    Second: for configurations in training, those of a ridge that learns from the others in training.
    """
    kept = cache / f"ridge-fold{fold}.npz"
    if not kept.exists():
        settings = DescriptorSettings()
        items: list[LabelledParticles] = [load(source, cache, settings, threads)[0] for source in sources]

        def fitted(training: Sequence[int], predicted: Sequence[int]) -> dict[int, FloatArray]:
            model = PropensityModel.fit([items[index] for index in training])
            return {index: model.predict(items[index].table, items[index].species)[:, 0] for index in predicted}

        known, left_out = split(len(sources), fold)
        found = fitted(known, range(len(sources)))
        others = {index: found[index] for index in left_out}
        for group in range(INNER_FOLDS):
            inner = known[group::INNER_FOLDS]
            others |= fitted([index for index in known if index not in inner], inner)
        np.savez(kept, **{source.name: np.stack([found[i], others[i]]) for i, source in enumerate(sources)})  # type: ignore[arg-type]
    with np.load(kept) as file:
        both = [file[source.name] for source in sources]
    return [one[0] for one in both], [one[1] for one in both]


def mean_of(
    subjects: Sequence[Subject], training: Sequence[int], predictions: Sequence[Sequence[FloatArray]]
) -> list[FloatArray]:
    """Return the mean of several predictions of every subject, each in units of its spread in training, by species."""
    result = [np.zeros(len(one.species)) for one in subjects]
    for prediction in predictions:
        for kind in np.unique(subjects[0].species):
            rows = [one.species == kind for one in subjects]
            known = np.concatenate([prediction[index][rows[index]] for index in training])
            for index, row in enumerate(rows):
                result[index][row] += (prediction[index][row] - known.mean()) / known.std() / len(predictions)
    return result


def corrected(
    subjects: Sequence[Subject], training: Sequence[int], ridge: Sequence[FloatArray], residual: Sequence[FloatArray]
) -> list[FloatArray]:
    """Return the predictions of `ridge` plus the standardised `residual` in units of its spread in training."""
    place = LABELS.index("residual")
    result = []
    for one, alone, rest in zip(subjects, ridge, residual, strict=True):
        spread = np.empty(len(one.species))
        for kind in np.unique(one.species):
            known = [subjects[index].targets[subjects[index].species == kind, place] for index in training]
            spread[one.species == kind] = np.concatenate(known).std()
        result.append(alone + spread * rest)
    return result


def compare(subjects: Sequence[Subject], fold: int, by_name: Mapping[str, Sequence[FloatArray]]) -> dict[str, Any]:
    """Return the correlations of the configurations left out, of each prediction by its name."""
    _, left_out = split(len(subjects), fold)
    rows = {}
    for name, prediction in by_name.items():
        each = [subjects[index].score(prediction[index]) for index in left_out]
        rows[name] = {"mean": float(np.mean(each)), "each": each}
    return rows


def combined(
    subjects: Sequence[Subject], training: Sequence[int], alone: Sequence[FloatArray], networks: list[list[FloatArray]]
) -> dict[str, Sequence[FloatArray]]:
    """Return by name the predictions of the ridge `alone`, of the mean of `networks`, and of both together."""
    by_name: dict[str, Sequence[FloatArray]] = {"ridge": alone}
    for place, name in enumerate(LABELS):
        found = mean_of(subjects, training, [[one[:, place] for one in of_seed] for of_seed in networks])
        both = mean_of(subjects, training, [alone, found])
        by_name |= {f"network: {name}": found, f"ridge and network: {name}": both}
    place = LABELS.index("residual")
    rest = [np.mean([one[:, place] for one in of_subject], 0) for of_subject in zip(*networks, strict=True)]
    return by_name | {"ridge plus network: residual": corrected(subjects, training, alone, rest)}


def changed(changes: Sequence[str], network: str = "") -> tuple[NetworkSettings, Training]:
    """Return the settings of the run that ships, with `changes`, each 'table.key=value'.

    `network`: in place of the run's own, one that ships, or a TOML file.
    """
    run = load_run(RUN, network)
    values = run.model_dump(mode="json")
    for change in changes:
        key, _, value = change.partition("=")
        table, _, name = key.partition(".")
        values[table][name] = json.loads(value)
    settings = check_settings(values["network"], type(run.network), "network")
    return settings, check_settings(values["training"], Training, "training")


def parsed() -> tuple[argparse.Namespace, list[Path]]:
    """Return what the command line says, and the BOTAN files."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--fold", type=int, default=0)
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--cache", type=Path, default=Path("botan-inherent"))
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--auxiliary", type=Path, metavar="FOLDER", help="propensities at other times, learned besides")
    parser.add_argument("--network", default="", metavar="NAME", help="in place of the run's: a preset or a TOML file")
    parser.add_argument("--edges", type=float, default=0.0, metavar="WEIGHT", help="of a loss of changes of distances")
    parser.add_argument(
        "--set", nargs="*", default=[], metavar="TABLE.KEY=VALUE", help="of the run, e.g. training.epochs=30"
    )
    sources = sorted((Path(os.environ.get("GLASSFORMER_DATA", ".")) / "botan").glob("*.npz"))
    if len(sources) <= LEFT_OUT:
        parser.error("too few BOTAN files: set GLASSFORMER_DATA to the folder that holds botan/*.npz")
    return parser.parse_args(), sources


def main() -> None:
    """Train, and print the correlations, or JSON."""
    arguments, sources = parsed()
    torch.set_num_threads(arguments.threads)
    keep_large_blocks()
    network, training = changed(arguments.set, arguments.network)
    if arguments.edges and not isinstance(network.graph, CutoffGraph):
        raise SystemExit(f"--edges: {network.name} reads nearest neighbors; expected a network with a cutoff.")
    identity = parameter_hash(
        {"network": network.model_dump(mode="json"), "training": training.model_dump(mode="json"), "labels": LABELS}
        | ({"auxiliary": str(arguments.auxiliary)} if arguments.auxiliary else {})
        | ({"edges": arguments.edges} if arguments.edges else {})
    )
    folder = arguments.cache / f"network-{identity[:12]}"
    folder.mkdir(parents=True, exist_ok=True)
    alone, others = ridge(sources, arguments.fold, arguments.cache, arguments.threads)
    subjects = [
        subject(source, arguments.cache, network, one, arguments.auxiliary, edges=arguments.edges > 0)
        for source, one in zip(sources, others, strict=True)
    ]
    known, _ = split(len(sources), arguments.fold)
    networks = [
        train(subjects, arguments.fold, seed, network, training, folder, arguments.edges)
        for seed in range(arguments.seeds)
    ]
    rows = compare(subjects, arguments.fold, combined(subjects, known, alone, networks))
    for name, row in rows.items():
        print(f"{name:40s} {row['mean']:.4f}  {[round(one, 4) for one in row['each']]}", file=sys.stderr)
    if arguments.json:
        print(json.dumps({"benchmark": "propensity-network", "fold": arguments.fold, "rows": rows}, indent=1))


if __name__ == "__main__":
    main()
