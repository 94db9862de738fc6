"""A configuration as a short text for the address bar, and back.

A link is `version.payload`: the payload is JSON in URL-safe base64 and holds only what differs
from the default configuration. Links come from strangers: whatever is not understood, or not
allowed, is one `ConfigError` in plain words.
"""

from __future__ import annotations

import base64
import json
from typing import Any

from nnkit.config import CUSTOM, ExperimentConfig, LayerConfig, recommended
from nnkit.datasets import DATASETS
from nnkit.errors import ConfigError
from nnkit.settings import OPTIMIZER_SETTINGS, SCHEDULE_SETTINGS

PARAMETER = "net"
VERSION = "1"
MAX_LENGTH = 4000

_LAYER = ("units", "activation", "dropout", "normalization")


def encode(config: ExperimentConfig) -> str:
    """The link of a configuration; that of the default one is just the version.

    >>> encode(ExperimentConfig())
    '1'
    >>> decode(encode(ExperimentConfig(dataset="xor"))).dataset
    'xor'
    """
    values, default = config.to_dict(), ExperimentConfig().to_dict()
    values["layers"] = [_short(layer) for layer in config.layers]
    default["layers"] = [_short(layer) for layer in ExperimentConfig().layers]
    for name, usual in _usual_settings(config).items():
        settings = values[name].items()
        values[name] = {key: value for key, value in settings if value != usual[key]}
        default[name] = {}
    differing = {name: value for name, value in values.items() if value != default[name]}
    if not differing:
        return VERSION
    text = json.dumps(differing, separators=(",", ":"))
    return f"{VERSION}.{base64.urlsafe_b64encode(text.encode()).decode().rstrip('=')}"


def decode(link: str) -> ExperimentConfig:
    """The configuration of a link.

    Raises:
        ConfigError: a damaged link, one of another version, or values that are not allowed.
    """
    return ExperimentConfig.from_dict(_values(link))


def decode_without_data(link: str) -> ExperimentConfig:
    """The same for data of one's own: network and training, on a data set that comes with nnkit.

    Raises:
        ConfigError: as `decode`, or where the network does not fit such data.
    """
    values = _values(link)
    known = recommended("sine" if values.get("task") == "regression" else "spirals").to_dict()
    own = ("dataset", "dataset_settings", "features", "samples")
    kept = {name: value for name, value in values.items() if name not in own}
    return ExperimentConfig.from_dict(known | kept)


def _values(link: str) -> Any:
    """What a link says, as plain data that nobody has checked."""
    version, _, payload = link.partition(".")
    if len(link) > MAX_LENGTH:
        raise ConfigError("link", f"has {len(link)} characters; at most {MAX_LENGTH} are read")
    if version != VERSION:
        raise ConfigError("link", f"is of version {version[:20]!r}; this app reads {VERSION}")
    try:
        text = base64.b64decode(payload + "=" * (-len(payload) % 4), altchars=b"-_", validate=True)
        values = json.loads(text) if text else {}
    except (ValueError, RecursionError) as error:
        raise ConfigError("link", "is damaged: part of it was lost or changed") from error
    if isinstance(values, dict) and isinstance(values.get("layers"), list):
        values["layers"] = [_long(layer) for layer in values["layers"]]
    return values


def _usual_settings(config: ExperimentConfig) -> dict[str, dict[str, float]]:
    """The default settings of the chosen data set, optimizer and schedule."""
    info = DATASETS.get(config.dataset) if config.dataset != CUSTOM else None
    optimizer, schedule = OPTIMIZER_SETTINGS[config.optimizer], SCHEDULE_SETTINGS[config.schedule]
    tables = {
        "dataset_settings": info.settings if info else {},
        "optimizer_settings": optimizer,
        "schedule_settings": schedule,
    }
    return {
        kind: {name: number.default for name, number in table.items()}
        for kind, table in tables.items()
    }


def _short(layer: LayerConfig) -> list[Any]:
    """A layer without field names, and without defaults at the end: [16, "relu"]."""
    values = [getattr(layer, name) for name in _LAYER]
    usual = LayerConfig()
    while len(values) > 2 and values[-1] == getattr(usual, _LAYER[len(values) - 1]):
        values.pop()
    return values


def _long(layer: Any) -> dict[str, Any]:
    if not isinstance(layer, list) or not 1 <= len(layer) <= len(_LAYER):
        raise ConfigError("layers", f"must be [units, activation, …], got {str(layer)[:40]}")
    return dict(zip(_LAYER, layer, strict=False))
