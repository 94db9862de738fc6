"""What one visitor works on: the current experiment, what came before it, and what to say of it.

The experiment's configuration is the truth; widgets and the address bar follow it. Changes that
need another experiment put the old one, with all that it learned, on the undo list. Whatever is
refused raises before anything has changed.
"""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import streamlit as st

from nnkit.config import CUSTOM, ExperimentConfig, default_loss, recommended
from nnkit.datasets import DATASETS, Dataset, feature_names
from nnkit.errors import NnkitError
from nnkit.experiment import Experiment
from nnkit.settings import HIDDEN_ACTIVATIONS, LIVE_FIELDS, LOSS_RULES
from pages.parts import link as links
from pages.parts.session import Edit, Session, about_link, experiment, session

UNDO_LIMIT = 20
STALE_LINK_SECONDS = 2.0
SEEDS = ("data_seed", "init_seed")
DATA = ("dataset_settings", "noise", "imbalance", "label_noise", "outliers")
RECIPE = (
    "features", "standardize", "layers", "loss", "optimizer", "optimizer_settings",
    "learning_rate", "batch_size", "schedule", "schedule_settings", "l1", "l2", "clip_norm", "init",
)  # fmt: skip


# ---- changing it -------------------------------------------------------------------------------


def adopt(
    config: ExperimentConfig,
    data: Dataset | None = None,
    *,
    keep_weights: bool = False,
    kept_units: Mapping[int, Sequence[int]] | None = None,
    why: str = "",
    title: str = "",
) -> None:
    """Make `config` the current experiment; the one before can be brought back by `undo`.

    Args:
        data: the data, where `config.dataset` is "custom"; by default those of now.
        keep_weights: keep the trained weights that still have a place, and go on training.
        kept_units: which units of a layer those are, where not simply the first ones.
        why: what was chosen and why, to tell the visitor.
        title: what `data` are called.

    Raises:
        ConfigError, DataError: it cannot be; nothing has changed.
    """
    current, old = session(), experiment()
    custom = (data, title) if data is not None else current.custom
    if data is None and config.dataset == CUSTOM:
        data = _own_data(current)
    touched = bool(old.epoch or old.history.changes)
    if keep_weights and touched:
        new = old.restructured(config, kept_units)
    else:
        new = Experiment(config, data)
        current.running = current.running and keep_weights
    _replace(current, old, new, custom, why or "the change")
    current.notice = f"{why} {_lost(old, new, keep_weights)}".strip()


def _lost(old: Experiment, new: Experiment, keep_weights: bool) -> str:
    """What to say of epochs that are no longer counted."""
    if not old.epoch or new.epoch:
        return ""
    epochs = "1 epoch" if old.epoch == 1 else f"{old.epoch:,} epochs"
    if keep_weights:
        return f"Weights were kept where they fit; {epochs} set aside. Undo brings them back."
    return f"Started again; {epochs} set aside. Undo brings them back."


def _own_data(current: Session) -> Dataset | None:
    if current.experiment.config.dataset == CUSTOM:
        return current.experiment.data
    return current.custom[0] if current.custom else None


def _replace(
    current: Session,
    old: Experiment,
    new: Experiment,
    custom: tuple[Dataset, str] | None,
    title: str,
) -> None:
    def use(experiment: Experiment, own: tuple[Dataset, str] | None) -> Callable[[], None]:
        def put() -> None:
            if experiment.config.dataset == CUSTOM:
                current.custom = own  # the data come back with their title
            if experiment.status == "training":
                experiment.pause()
            current.experiment = experiment
            if current.selected:
                layer, unit = current.selected
                sizes = list(map(len, experiment.network.biases()))
                if layer >= len(sizes) or unit >= sizes[layer]:
                    current.selected = None
            current.pace.clear()

        return put

    back, forth = use(old, current.custom), use(new, custom)
    forth()
    record(Edit(title, back, forth))


def record(edit: Edit) -> None:
    """Put something that was done on the undo list."""
    current = session()
    current.done.append(edit)
    del current.done[:-UNDO_LIMIT]
    current.undone.clear()
    current.notice = current.refusal = ""


def change(**settings: Any) -> None:
    """Change fields of the configuration: at once where they are live, else by a new experiment.

    Raises:
        ConfigError: a value or a combination that cannot be; nothing has changed.
    """
    now = experiment()
    before = {name: getattr(now.config, name) for name in settings}
    if before == settings:
        return
    if not set(settings) <= set(LIVE_FIELDS):
        adopt(now.config.replace(**settings), keep_weights=set(settings) <= {"layers", "features"})
        return
    now.change(**settings)
    title = ", ".join(settings).replace("_", " ")
    record(Edit(title, lambda: now.change(**before), lambda: now.change(**settings)))


def edit(title: str, do: Callable[[], None], undo: Callable[[], None]) -> None:
    """Do something to the current network that can be undone."""
    now = experiment()
    do()
    epoch = now.epoch

    def back() -> None:
        undo()
        if now.epoch != epoch:
            session().notice = f"Undone: {title}. What was trained since then stays."

    record(Edit(title, back, do))


def use_task(task: str) -> None:
    """Change between classification and regression, with a data set for it."""
    if task != experiment().config.task:
        use_dataset({"classification": "spirals", "regression": "sine"}[task])


def use_dataset(name: str) -> None:
    """Learn from another data set, with settings to fit, and say what was chosen and why.

    Where network and training are as recommended for the data set before, they become what is
    recommended for this one. Where the visitor has made them, they stay as far as they can.
    """
    config, custom = experiment().config, session().custom
    if name == CUSTOM and custom:
        use_data(*custom)
        return
    recipe = recommended(name)
    if config.dataset != CUSTOM and not can_recommend():
        kept = {field: getattr(config, field) for field in ("samples", "train_fraction", *SEEDS)}
        adopt(recipe.replace(**kept), why=_known_to_solve(recipe))
        return
    changes = {field: getattr(recipe, field) for field in ("task", "dataset", *DATA)}
    info = DATASETS[name]
    adopt_fitting(changes, recipe.classes, info.dimensions, f"{info.title}: the network stays")


def can_recommend() -> bool:
    """Whether network or training differ from what is recommended for the data set."""
    config = experiment().config
    if config.dataset == CUSTOM:
        return False
    recipe = recommended(config.dataset)
    return any(getattr(config, field) != getattr(recipe, field) for field in RECIPE)


def data_title() -> str:
    """What the current data are called."""
    now, custom = experiment(), session().custom
    if now.config.dataset != CUSTOM:
        return DATASETS[now.config.dataset].title
    return custom[1] if custom and custom[0] is now.data else "Data of your own"


def use_recommended() -> None:
    """Network and training as recommended for the data set, which stays as it is."""
    config = experiment().config
    if config.dataset == CUSTOM:
        return
    recipe = recommended(config.dataset)
    fields = {field: getattr(recipe, field) for field in RECIPE}
    adopt(config.replace(**fields), why=_known_to_solve(recipe))


def _known_to_solve(recipe: ExperimentConfig) -> str:
    layers = ", ".join(
        f"{layer.units} {HIDDEN_ACTIVATIONS[layer.activation]}" for layer in recipe.layers
    )
    loss = LOSS_RULES[recipe.loss].title
    return (
        f"{DATASETS[recipe.dataset].title}: layers {layers}, learning rate "
        f"{recipe.learning_rate:g} and {loss[0].lower() + loss[1:]} are known to solve it."
    )


def use_dataset_setting(name: str, value: int) -> None:
    """Another number of classes or arms, with a loss to fit."""
    config = experiment().config
    settings = {**config.dataset_settings, name: value}
    title = f"{DATASETS[config.dataset].title}: {value} {name}"
    adopt_fitting({"dataset_settings": settings}, value, 2, title)


def adopt_fitting(
    changes: dict[str, Any],
    classes: int,
    dimensions: int,
    said: str,
    data: Dataset | None = None,
    data_title: str = "",
) -> None:
    """Adopt `changes`, with features and loss changed too where they no longer fit, and say so."""
    config = experiment().config
    task = changes.get("task", config.task)
    possible = feature_names(dimensions)
    rule = LOSS_RULES[config.loss]
    if rule.task != task or (rule.binary_only and classes > 2):
        changes["loss"] = default_loss(task, classes)
        title = LOSS_RULES[changes["loss"]].title
        reason = f"{classes} classes" if task == "classification" else "numbers to predict"
        said += f"; the loss is now {title[0].lower() + title[1:]}, for {reason}"
    if dimensions != experiment().data.inputs.shape[1] or not set(config.features) <= set(possible):
        plain = possible if dimensions > 2 else tuple(f"x{i + 1}" for i in range(dimensions))
        changes["features"] = plain
        said += f"; the features are its {dimensions} input" + ("s" if dimensions > 1 else "")
    adopt(config.replace(**changes), data, why=f"{said}.", title=data_title)


def use_data(data: Dataset, title: str, *, standardize: bool | None = None) -> None:
    """Make data of the visitor's own current, with features, loss and output layer to fit.

    Args:
        title: what the data are called.
        standardize: by default, if it is so already or scales are far from 1.

    Raises:
        ConfigError, DataError: the data cannot be learned from; nothing has changed.
    """
    config = experiment().config
    far = bool(np.abs(data.inputs).max() > 3 or data.inputs.std(axis=0).min() < 0.05)
    changes: dict[str, Any] = {
        "task": data.task,
        "dataset": CUSTOM,
        "dataset_settings": {},
        "imbalance": 0.0,
        "label_noise": 0.0,
        "outliers": 0.0,
        "standardize": config.standardize or far if standardize is None else standardize,
    }
    said = f"{title}: {len(data):,} samples"
    if changes["standardize"] and far and not config.standardize:
        said += "; inputs are standardized, since their scales are far from 1"
    elif not changes["standardize"] and (far or config.standardize):
        said += "; inputs are not standardized, as you chose"
    adopt_fitting(changes, data.classes, data.inputs.shape[1], said, data, title)


def reset() -> None:
    """Back to the very start: the same initial weights, an empty history; undoable."""
    now = experiment()
    session().running = False
    if now.epoch or now.history.changes:
        adopt(now.config)
    else:
        clear_words()


def train() -> None:
    """Begin to train, or go on."""
    clear_words()
    session().running = experiment().status != "diverged"
    session().pace.clear()


def pause() -> None:
    """Stand still."""
    session().running = False
    experiment().pause()


def step() -> None:
    """Exactly one epoch, and no more.

    Raises:
        ConfigError: training has diverged.
    """
    clear_words()
    session().running = False
    experiment().step()
    experiment().pause()


def refuse(error: Exception | str) -> None:
    """Remember why something was refused, to be shown in place."""
    session().refusal = str(error)


def clear_words() -> None:
    """Forget what was said of the last change."""
    session().notice = session().refusal = ""


# ---- taking back -------------------------------------------------------------------------------


def can_undo() -> bool:
    return bool(session().done)


def can_redo() -> bool:
    return bool(session().undone)


def undo() -> None:
    """Take the latest change back; what was trained before it is there again."""
    _move(session().done, session().undone, "undo")


def redo() -> None:
    """Do again what was undone."""
    _move(session().undone, session().done, "redo")


def _move(source: list[Edit], target: list[Edit], direction: str) -> None:
    if not source:
        return
    current = session()
    clear_words()
    latest = source.pop()
    before = current.experiment
    (latest.undo if direction == "undo" else latest.redo)()
    target.append(latest)
    if current.experiment is not before:
        current.running = False
        before.pause()


# ---- the address bar ---------------------------------------------------------------------------


def link() -> str:
    """The link of the current configuration."""
    return links.encode(experiment().config)


def follow_link() -> None:
    """Adopt the configuration in the address bar where the visitor put another one there.

    The browser may still send the link from before the latest change; a link that this session
    has just replaced is therefore left alone.
    """
    current = session()
    given = st.query_params.get(links.PARAMETER)
    fresh = time.monotonic() - current.linked_at < STALE_LINK_SECONDS
    if given is None or given == current.link or fresh:
        return
    current.link = given
    try:
        config, now = links.decode(given), experiment().config
        fields = [field.name for field in dataclasses.fields(config)]
        other = {n: getattr(config, n) for n in fields if getattr(config, n) != getattr(now, n)}
        if other.keys() <= set(LIVE_FIELDS):
            change(**other)  # such as Back after one of these: the training stays
        else:
            adopt(config, why="The configuration of the link is here.")
    except NnkitError as error:
        refuse(about_link(error))


def write_link() -> None:
    """Bring the address bar up to date. A switch of pages empties it, so this is for every run."""
    current, now = session(), link()
    if now != current.link:
        current.link, current.linked_at = now, time.monotonic()
    st.query_params[links.PARAMETER] = now
