"""The sidebar of the Train page: each control shows a field of the configuration and changes it.

Before a widget is made, its value is set from the configuration, which is the truth: so a widget
goes back by itself when its choice is refused, and follows links, Undo and the network view.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import streamlit as st

from nnkit.config import CUSTOM
from nnkit.datasets import DATASETS, Dataset, feature_names
from nnkit.errors import NnkitError
from nnkit.init import INITIALIZERS
from nnkit.settings import (
    LIMITS,
    LIVE_FIELDS,
    LOSS_RULES,
    OPTIMIZER_SETTINGS,
    SCHEDULE_SETTINGS,
    Number,
)
from pages.parts import session, state, views
from pages.parts.texts import in_words, plain, shortened, title

#: Signs beside a title, for when a field acts. As text: screen readers would spell an icon's name.
LIVE, REBUILDS = "↯", "↻"

SAMPLES_HELP = "More samples show the shape better and slow each epoch."
SEED_HELP = "Another seed draws other points from the same shape."
SPLIT_SEED_HELP = "Another seed takes other samples of your data to train on, the rest to test."

COLUMNS_NAMED = 12  # in a help text

_OPTIMIZERS = {
    "sgd": "SGD", "adam": "Adam", "adamw": "AdamW", "rmsprop": "RMSprop", "adagrad": "AdaGrad",
    "adadelta": "AdaDelta",
}  # fmt: skip


# ---- how every control works -------------------------------------------------------------------


def attempt(do: Callable[..., None], *values: Any, **named: Any) -> None:
    """Do what the visitor asked for; where it is refused, say why, and nothing has changed."""
    refusal = ""
    with session.undisturbed():
        state.clear_words()
        try:
            with state.session().lock:
                do(*values, **named)
        except NnkitError as error:
            refusal = in_words(error)
            state.refuse(refusal)
    if refusal:
        st.toast(plain(refusal), icon=":material/block:")


def button(key: str, title: str, do: Callable[[], None], **options: Any) -> bool:
    """A button that does something once for each click."""
    state.session().clicks.pop(key, None)
    return st.button(title, key=key, on_click=_clicked, args=(key, do), **options)


def _clicked(key: str, do: Callable[[], None]) -> None:
    with session.undisturbed():  # a click that is remembered is also done
        if not session.is_click_again(key):
            attempt(do)


def _changed(key: str, do: Callable[[Any], None]) -> None:
    value = st.session_state[key]
    with session.undisturbed():  # a choice that is remembered is also made
        if value is not None and not session.is_echo(key, value):
            session.heard(key, value)
            attempt(do, value)


def bind(key: str, value: Any, do: Callable[[Any], None]) -> dict[str, Any]:
    """What ties a widget to a value: to be given to the widget as keyword arguments."""
    st.session_state[key] = value
    session.told(key, value)
    return {"key": key, "on_change": _changed, "args": (key, do)}


def _field(name: str) -> dict[str, Any]:
    """Ties a widget to a field of the configuration."""
    value = getattr(state.experiment().config, name)
    return bind(name, value, lambda chosen: state.change(**{name: chosen}))


def _label(name: str, words: str = "") -> str:
    """The title of a field with the sign for when it acts."""
    return f"{words or title(name)} {_sign(name)}"


def _help(text: str, name: str = "") -> str:
    """What a field is for, and when it acts."""
    when = "Acts at once." if name in LIVE_FIELDS else "Starts training again."
    return f"{text} {_sign(name)} {when}"


def _sign(name: str) -> str:
    return LIVE if name in LIVE_FIELDS else REBUILDS


def _number(name: str, help: str, *, step: float) -> None:
    """A number input for a field of the configuration."""
    limits, kind = LIMITS[name], int if LIMITS[name].whole else float
    st.number_input(
        _label(name),
        kind(limits.low),
        kind(limits.high),
        kind(getattr(state.experiment().config, name)),  # what an emptied field goes back to
        step=kind(step),
        format="%d" if limits.whole else "%g",
        help=_help(help, name),
        **_field(name),
    )


def _slider(name: str, help: str, **options: Any) -> None:
    limits = LIMITS[name]
    low, high = float(limits.low), float(limits.high)
    said = _help(help, name)
    st.slider(_label(name), low, high, step=0.05, help=said, **_field(name), **options)


def _settings(owner: str, table: Mapping[str, Mapping[str, Number]]) -> None:
    """Number inputs for the settings of the chosen optimizer or schedule."""
    config = state.experiment().config
    values = getattr(config, f"{owner}_settings")

    def do(name: str) -> Callable[[Any], None]:
        return lambda chosen: state.change(**{f"{owner}_settings": {**values, name: chosen}})

    for name, number in table[getattr(config, owner)].items():
        bound = bind(f"{owner}_{name}", values[name], do(name))
        kind = int if number.whole else float
        st.number_input(
            _label("", number.title or name),
            kind(number.low),
            kind(number.high),
            kind(values[name]),
            step=kind(1) if number.whole else 0.001 if number.default > 0.95 else 0.01,
            format="%d" if number.whole else "%g",
            help=_help(number.help),
            **bound,
        )


# ---- data --------------------------------------------------------------------------------------


def data_group() -> None:
    """What is learned from: data set, its settings, input features."""
    now = state.experiment()
    config, own = now.config, now.config.dataset == CUSTOM
    st.segmented_control(
        "Task",
        ["classification", "regression"],
        format_func=str.capitalize,
        required=True,
        label_visibility="collapsed",
        width="stretch",
        **bind("task", config.task, state.use_task),
    )
    _dataset()
    left, right = st.columns(2, gap="small")
    with left:
        if own:
            _own_samples(len(now.data))
        else:
            _number("samples", SAMPLES_HELP, step=100)
            _slider("noise", noise_help())
    with right:
        _number("data_seed", SPLIT_SEED_HELP if own else SEED_HELP, step=1)
        _slider("train_fraction", "The share of the samples to learn from; the rest only tests.")
    available = feature_names(now.data.inputs.shape[1])
    help = "What the network is given; a fitting feature can replace whole layers."
    if own:
        help += f" Here {_columns(now.data)}."
    st.pills(
        _label("features"),
        available,
        selection_mode="multi",
        format_func=views.feature_title,
        help=_help(help),
        **bind("features", list(config.features), _use_features),
    )


def _columns(data: Dataset) -> str:
    """Which of the visitor's columns is x₁, which x₂, …"""
    names = [plain(shortened(name, 20)) for name in data.input_names[:COLUMNS_NAMED]]
    said = ", ".join(f"{views.feature_title(f'x{i}')} is {name}" for i, name in enumerate(names, 1))
    return said if len(data.input_names) <= COLUMNS_NAMED else f"{said} …"


def _own_samples(count: int) -> None:
    """How many samples the visitor's own data have, which only other data can change."""
    st.session_state["own_samples"] = count
    help = "All samples of your data; the Data page takes others."
    st.number_input(title("samples"), step=1, key="own_samples", help=help, disabled=True)


def _dataset() -> None:
    now, custom = state.experiment(), state.session().custom
    names = [name for name, info in DATASETS.items() if info.task == now.config.task]
    if custom and custom[0].task == now.config.task:
        names.append(CUSTOM)
    info = DATASETS.get(now.config.dataset)
    settings = info.settings if info else {}
    columns = st.columns([2, 1] if settings else 1, gap="small")
    with columns[0]:
        st.selectbox(
            _label("dataset"),
            names,
            format_func=lambda name: (
                custom[1] if name == CUSTOM and custom else _dataset_title(name)
            ),
            help=_help(info.teaches if info else "Your own data, from the Data page."),
            **bind("dataset", now.config.dataset, state.use_dataset),
        )
    for name, setting in settings.items():
        with columns[1]:
            value = now.config.dataset_settings[name]
            st.number_input(
                _label("", setting.title),
                int(setting.low),
                int(setting.high),
                value,
                step=1,
                help=_help("Each class gets an output of its own."),
                **bind(f"dataset_{name}", value, partial(state.use_dataset_setting, name)),
            )


def _dataset_title(name: str) -> str:
    return DATASETS[name].title if name in DATASETS else name


def noise_help() -> str:
    """What noise does to the current data set."""
    info = DATASETS.get(state.experiment().config.dataset)
    return "Noise blurs the shape. " + (info.noise_help if info else "")


def _use_features(chosen: list[str]) -> None:
    available = feature_names(state.experiment().data.inputs.shape[1])
    state.change(features=tuple(name for name in available if name in chosen))


def _more_data() -> None:
    config = state.experiment().config
    classes = config.task == "classification" and config.dataset != CUSTOM
    st.toggle(
        _label("standardize"),
        help=_help(
            "Brings each feature to mean 0 and deviation 1, as fitted on the training data."
        ),
        **_field("standardize"),
    )
    _slider("imbalance", "Makes one class rare: accuracy flatters then.",
            disabled=not classes)  # fmt: skip
    _slider("label_noise", "Gives this share of the points a wrong class.",
            disabled=not classes)  # fmt: skip
    _slider("outliers", "Throws this share of the points far off.",
            disabled=config.dataset == CUSTOM)  # fmt: skip


# ---- training ----------------------------------------------------------------------------------


def training_group() -> None:
    """How it is learned: loss, optimizer, rates, penalties."""
    config = state.experiment().config
    losses = [name for name, rule in LOSS_RULES.items() if rule.task == config.task]
    st.selectbox(
        _label("loss"),
        losses,
        format_func=lambda name: LOSS_RULES[name].title,
        help=_help(f"What training makes small. {LOSS_RULES[config.loss].help}"),
        **_field("loss"),
    )
    left, right = st.columns(2, gap="small")
    with left:
        st.selectbox(
            _label("optimizer"),
            list(OPTIMIZER_SETTINGS),
            format_func=lambda name: _OPTIMIZERS.get(name, name),
            help=_help("How gradients become steps; Adam fits the step to each weight."),
            **bind("optimizer", config.optimizer, _use_optimizer),
        )
        _number("batch_size",
                "Samples for each step: small batches take more, noisier steps.",
                step=8)  # fmt: skip
        _number("l1", "Pulls weights to exactly zero, so few links stay.", step=0.0005)
    with right:
        _number("learning_rate",
                "The size of each step: too small is slow, too large never settles.",
                step=0.005)  # fmt: skip
        _number("init_seed", "Another seed starts from other random weights.",
                step=1)  # fmt: skip
        _number("l2", "Keeps weights small, so the boundary stays smooth.", step=0.0005)


def _use_optimizer(name: str) -> None:
    state.change(optimizer=name, optimizer_settings={})


def _use_schedule(name: str) -> None:
    state.change(schedule=name, schedule_settings={})


def recommended_button() -> None:
    """The settings known to solve the data set, where they are not in use."""
    button(
        "recommended",
        "Recommended",
        state.use_recommended,
        icon=":material/auto_fix_high:",
        type="tertiary",
        help="Network and training known to solve this data set.",
        disabled=not state.can_recommend(),
    )


def popovers() -> None:
    """What is needed seldom, behind buttons in a row."""
    with st.container(horizontal=True, gap="xsmall"):
        with st.popover("Data", help="More about the data"):
            _more_data()
        with st.popover("Optimizer", help="Settings of the optimizer"):
            _settings("optimizer", OPTIMIZER_SETTINGS)
            _number("clip_norm",
                    "Shortens longer gradients to this length; 0 for never.", step=0.5)  # fmt: skip
            _schedule()
        with st.popover("Start, stop", help="First weights, and the end"):
            _start_and_stop()


def _schedule() -> None:
    config = state.experiment().config
    st.selectbox(
        _label("schedule"),
        list(SCHEDULE_SETTINGS),
        format_func=lambda name: name.replace("_", " ").capitalize(),
        help=_help("How the learning rate changes with the epochs."),
        **bind("schedule", config.schedule, _use_schedule),
    )
    _settings("schedule", SCHEDULE_SETTINGS)


def _start_and_stop() -> None:
    st.selectbox(
        _label("init"),
        ["auto", *INITIALIZERS],
        format_func=lambda name: name.replace("_", " ").capitalize(),
        help=_help("How large the random weights are at first; auto suits each activation."),
        **_field("init"),
    )
    _number("patience",
            "Stops after so many epochs without a better test loss; 0 for never.",
            step=10)  # fmt: skip
    _number("target_score",
            "Stops at this test accuracy (or R²); 0 for never.", step=0.01)  # fmt: skip
