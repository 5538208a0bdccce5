"""The networks that are offered, and the few of them that are loaded."""

from collections import OrderedDict
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from srgan.errors import ArgumentError
from srgan.inference.upscaler import Upscaler
from srgan.web.parameters import BICUBIC
from srgan.weights import (
    AUTO,
    AUTOS,
    DEBLURRING,
    FAITHFUL,
    FAST,
    FAST_DEBLURRING,
    FAST_REPAIRING,
    NAMES,
    REPAIRING,
    SHARP,
    Card,
    Choice,
    checksum,
    find_weights,
    read_card,
)

MOST_LOADED = 10
"""Networks that stay loaded; of further ones, other values of `detail` say, the least recently used goes."""

_TITLES = {
    SHARP: "sharp",
    REPAIRING: "repairs",
    DEBLURRING: "deblurs",
    FAST: "fast",
    FAST_REPAIRING: "fast, repairs",
    FAST_DEBLURRING: "fast, deblurs",
    "srgan": "the paper's",
    FAITHFUL: "faithful",
}


class Networks:
    """What is offered by name: the shipped networks, those in files, and bicubic. For one thread at a time."""

    def __init__(self, models: Sequence[str] = (), on_load: Callable[[int], None] = lambda _: None, **how: Any) -> None:
        """Look for the networks; load none.

        models   shipped names and files of networks; the first is the default, auto where there is none; a file's
                 name is that of its card
        on_load  is told how many are loaded where that changes
        how      the runtime, precision, threads and memory, as `Upscaler` takes them

        Raises WeightsError for a file that is none, ArgumentError for two networks of a name.
        """
        self._how, self._on_load = how, on_load
        self._loaded: OrderedDict[tuple[Choice, bool], Upscaler] = OrderedDict()
        self.places: dict[str, str | Path] = {name: name for name in (*AUTOS, *NAMES)}
        self.cards: dict[str, Card] = {name: read_card(find_weights(name).one) for name in NAMES}
        names = [self._offer(model) for model in models]
        self.default = names[0] if names else AUTO

    def _offer(self, model: str) -> str:
        if model in (*AUTOS, *NAMES):
            return model
        file = find_weights(model).one
        card = read_card(file)
        name: str = card["name"]
        if not (name.isascii() and name.isprintable()):
            raise ArgumentError(f"{model}: its card calls it {name!r}: a name to ask for is of ASCII characters")
        if name in (*self.places, BICUBIC):
            raise ArgumentError(f"{model}: there is a network {name} already: a name stands for one")
        self.places[name], self.cards[name] = file, card
        return name

    @property
    def names(self) -> list[str]:
        """Everything that may be asked for, the default first."""
        return sorted([*self.places, BICUBIC], key=lambda name: (name != self.default, name == BICUBIC))

    @property
    def precision(self) -> str:
        """The precision asked for."""
        precision: str = self._how.get("precision", "auto")
        return precision

    def get(self, choice: Choice, *, ensemble: bool = False) -> Upscaler:
        """Return a network, of a name that is offered, or its ensemble, ready to run; to load it takes a moment."""
        key = choice, ensemble
        if key not in self._loaded:
            place = self.places[str(choice.model)]
            how = self._how | {"ensemble": ensemble}
            self._loaded[key] = Upscaler(place, detail=choice.detail, repair=choice.repair, **how)
        self._loaded.move_to_end(key)
        while len(self._loaded) > MOST_LOADED:
            self._loaded.popitem(last=False)
        self._on_load(len(self._loaded))
        return self._loaded[key]

    def describe(self) -> list[dict[str, Any]]:
        """Return what is offered, for people and programs to choose from."""
        offered: list[dict[str, Any]] = []
        for name in self.names:
            if name in AUTOS:
                continue
            if name == BICUBIC:
                offered.append(_BICUBIC)
                continue
            card = self.cards[name]
            offered.append(
                {
                    "name": name,
                    "title": _TITLES.get(name, name),
                    "about": str(card.get("summary", "")),
                    "scale": card["scale"],
                    "parameters": card.get("parameters", 0),
                    "checksum": checksum(find_weights(self.places[name]).one),
                    "licence": str(card.get("licence", "")),
                    "detail": name == SHARP,
                    "repair": name in (SHARP, FAST),
                    "consistent": True,
                    "ensemble": True,
                    "seamless": True,
                    "confidence": name in NAMES,
                }
            )
        return offered


_BICUBIC = {
    "name": BICUBIC,
    "title": "plain",
    "about": "MATLAB's bicubic, no network",
    "scale": 4,
    "parameters": 0,
    "checksum": "",
    "licence": "",
    "detail": False,
    "repair": False,
    "consistent": False,
    "ensemble": False,
    "seamless": False,
    "confidence": False,
}
