"""What is kept for one visitor: the experiment, what was done to it, what the browser was told."""

from __future__ import annotations

import contextlib
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextvars import ContextVar
from dataclasses import dataclass, field
from threading import Lock
from typing import Any

import streamlit as st

from nnkit.config import CUSTOM, ExperimentConfig
from nnkit.datasets import Dataset
from nnkit.errors import ConfigError, NnkitError
from nnkit.experiment import Experiment
from pages.parts import link as links
from pages.parts.texts import in_words

ECHO_SECONDS, CLICK_SECONDS = 0.4, 1.0
OWN_DATA_LOST = (
    "Data of your own are lost with a reload, and a link cannot carry them: load them again on the "
    "Data page. Layers and training settings are kept, weights are not."
)


@dataclass(frozen=True)
class Edit:
    """Something done that can be taken back."""

    title: str
    undo: Callable[[], None]
    redo: Callable[[], None]


@dataclass
class Session:
    """All that is kept for a visitor beside the values of widgets.

    Attributes:
        running: whether Train is on.
        moving: whether the latest frame showed that.
        notice: what was chosen for the visitor, or set aside, and why.
        refusal: why the last choice was refused.
        selected: (layer, unit) of the unit shown large.
        custom: data of the visitor's own with their title.
        pace: (seconds, epoch) of the latest frames, for epochs per second.
        link, linked_at: what was last written to the address bar, and when that last changed.
        shown: for each widget, the values the browser may hold, the latest last.
        clicks: when each button was clicked, until it is drawn again.
        lock: held while the experiment is trained, changed or saved (downloads are served apart).
    """

    experiment: Experiment
    running: bool = False
    moving: bool = False
    notice: str = ""
    refusal: str = ""
    selected: tuple[int, int] | None = None
    custom: tuple[Dataset, str] | None = None
    done: list[Edit] = field(default_factory=list)
    undone: list[Edit] = field(default_factory=list)
    pace: deque[tuple[float, int]] = field(default_factory=lambda: deque(maxlen=30))
    lock: Lock = field(default_factory=Lock)
    link: str = ""
    linked_at: float = 0.0
    shown: dict[str, list[Any]] = field(default_factory=dict)
    clicks: dict[str, float] = field(default_factory=dict)


_held: ContextVar[Session | None] = ContextVar("held", default=None)


def session() -> Session:
    """The visitor's session; the first time, made from the address bar or else the default."""
    if held := _held.get():
        return held
    if "session" not in st.session_state:
        st.session_state["session"] = _start(st.query_params.get(links.PARAMETER))
    found: Session = st.session_state["session"]
    return found


@contextlib.contextmanager
def undisturbed() -> Iterator[None]:
    """What is done here is done to the end.

    Streamlit may break off a run, for the next one, wherever the session state is read: a change
    would be made by half, without its entry on the undo list. So the session is read once, here.
    """
    token = _held.set(session())
    try:
        yield
    finally:
        _held.reset(token)


def _start(link: str | None) -> Session:
    if link is None:
        return Session(Experiment(ExperimentConfig()))
    try:
        return Session(Experiment(links.decode(link)), link=link)
    except NnkitError as error:
        if _is_of_own_data(error):
            with contextlib.suppress(NnkitError):
                config = links.decode_without_data(link)
                return Session(Experiment(config), refusal=OWN_DATA_LOST, link=link)
        return Session(Experiment(ExperimentConfig()), refusal=about_link(error), link=link)


def _is_of_own_data(error: NnkitError) -> bool:
    return getattr(error, "field", "") == "dataset" and CUSTOM in str(error)


def about_link(error: NnkitError) -> str:
    """Why a link was not used."""
    if _is_of_own_data(error):
        return "This link is for data of its sender's own, which a link cannot carry."
    said = in_words(error)
    if isinstance(error, ConfigError) and error.field in ("link", "config"):  # the link as a whole
        said = in_words(f"it {error.message}")
    return f"The link in the address bar was not used. {said}"


def experiment() -> Experiment:
    """The current experiment."""
    return session().experiment


# ---- echoes ------------------------------------------------------------------------------------
#
# Every message of the browser holds the values of all widgets. One that was on its way while the
# configuration changed by other means (Undo, another data set, an edit in the network view) holds
# values from before, which look as if the visitor had just chosen them.


def told(key: str, value: Any) -> None:
    """Remember that a widget is being given this value."""
    values = session().shown.setdefault(key, [])
    if not values or values[-1] != value:
        values.append(value)
        del values[:-4]


def heard(key: str, value: Any) -> None:
    """Remember that the browser itself has set this widget to a value."""
    session().shown[key] = [value]


def is_click_again(key: str) -> bool:
    """Whether a button's click was handed over before, and the button not drawn since.

    Streamlit does that where a frame overtakes the page that the click asked for.
    """
    clicks, now = session().clicks, time.monotonic()
    again = now - clicks.get(key, -CLICK_SECONDS) < CLICK_SECONDS
    clicks[key] = now
    return again


def is_echo(key: str, value: Any) -> bool:
    """Whether a widget's value is no choice but what it was given, now or before the last change.

    The address bar tells: it is written last, and comes with every message.
    """
    current = session()
    *before, latest = current.shown.get(key, [None])
    behind = st.query_params.get(links.PARAMETER) != current.link
    just_now = time.monotonic() - current.linked_at < ECHO_SECONDS
    return value == latest or ((behind or just_now) and value in before)
