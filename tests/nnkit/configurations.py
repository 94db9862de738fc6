"""Hypothesis draws configurations: any that is valid."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from hypothesis import strategies as st

from nnkit.config import CUSTOM, ExperimentConfig, LayerConfig
from nnkit.datasets import DATASETS, feature_names
from nnkit.init import INITIALIZERS
from nnkit.settings import (
    HIDDEN_ACTIVATIONS,
    LIMITS,
    LOSS_RULES,
    MAX_LAYERS,
    MAX_UNITS,
    NORMALIZATIONS,
    OPTIMIZER_SETTINGS,
    SCHEDULE_SETTINGS,
    Number,
)


def within(number: Number) -> st.SearchStrategy[Any]:
    if number.whole:
        return st.integers(int(number.low), int(number.high))
    return st.floats(number.low, number.high)


def settings_of(table: Mapping[str, Number]) -> st.SearchStrategy[dict[str, Any]]:
    """Any of the settings of a table, with values within their limits."""
    return st.fixed_dictionaries({}, optional={n: within(number) for n, number in table.items()})


LAYERS = st.builds(
    LayerConfig,
    units=st.integers(1, MAX_UNITS),
    activation=st.sampled_from(sorted(HIDDEN_ACTIVATIONS)),
    dropout=st.floats(0, 0.9),
    normalization=st.sampled_from(NORMALIZATIONS),
)


@st.composite
def configurations(draw: st.DrawFn) -> ExperimentConfig:
    """Any valid configuration, of a built-in data set or for data given apart."""
    fields = {name: draw(within(number)) for name, number in LIMITS.items()}
    fields["layers"] = tuple(draw(st.lists(LAYERS, max_size=MAX_LAYERS)))
    if any(layer.normalization == "batch" for layer in fields["layers"]):
        fields["batch_size"] = max(fields["batch_size"], 2)
    dataset = draw(st.sampled_from([*DATASETS, CUSTOM]))
    if dataset == CUSTOM:
        task, classes = draw(st.sampled_from(["classification", "regression"])), 0
        possible: tuple[str, ...] = tuple(f"x{i}" for i in range(1, 8))
    else:
        info = DATASETS[dataset]
        chosen = {name: draw(within(number)) for name, number in info.settings.items()}
        task, classes = info.task, next(iter(chosen.values()), 2)
        possible = feature_names(info.dimensions)
        fields["dataset_settings"] = chosen
        fields["samples"] = max(fields["samples"], 2 * classes)
    if task == "regression":
        fields["imbalance"] = fields["label_noise"] = 0.0
    losses = [
        name
        for name, rule in LOSS_RULES.items()
        if rule.task == task and not (rule.binary_only and classes > 2)
    ]
    optimizer = draw(st.sampled_from(sorted(OPTIMIZER_SETTINGS)))
    options = draw(settings_of(OPTIMIZER_SETTINGS[optimizer]))
    if options.get("nesterov"):
        options["momentum"] = 0.5
    schedule = draw(st.sampled_from(sorted(SCHEDULE_SETTINGS)))
    return ExperimentConfig(
        task=task,
        dataset=dataset,
        features=tuple(draw(st.lists(st.sampled_from(possible), min_size=1, unique=True))),
        standardize=draw(st.booleans()),
        loss=draw(st.sampled_from(losses)),
        optimizer=optimizer,
        optimizer_settings=options,
        schedule=schedule,
        schedule_settings=draw(settings_of(SCHEDULE_SETTINGS[schedule])),
        init=draw(st.sampled_from(["auto", *INITIALIZERS])),
        **fields,
    )
