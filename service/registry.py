"""Typed registries of plug-ins: what the tree ships, one line each, plus what other packages add by entry points."""

from collections.abc import Iterator, Mapping
from functools import cached_property
from importlib.metadata import entry_points
from typing import Any, Generic, Protocol, TypeVar

from pydantic import BaseModel, ConfigDict


class Options(BaseModel):
    """Base of every plug-in's options: immutable, and strict about unknown fields."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Plugin(Protocol):
    """What every plug-in has: a name, and options that it is made with."""

    name: str
    Options: type[BaseModel]


T = TypeVar("T", bound=Plugin)


class Registry(Mapping[str, "type[T]"], Generic[T]):
    """Name to plug-in class. `kind` is the folder's name; third parties use the entry-point group `conclave.<kind>`."""

    def __init__(self, kind: str, shipped: "tuple[type[T], ...]") -> None:
        self.kind = kind
        self._shipped = shipped

    @cached_property
    def _all(self) -> "dict[str, type[T]]":
        found = {plugin.name: plugin for plugin in self._shipped}
        for point in entry_points(group=f"conclave.{self.kind}"):
            plugin: type[T] = point.load()
            if plugin.name in found:
                raise ValueError(f"{self.kind}: two plug-ins are named {plugin.name!r}")
            found[plugin.name] = plugin
        return found

    def __getitem__(self, name: str) -> "type[T]":
        return self._all[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._all)

    def __len__(self) -> int:
        return len(self._all)

    def make(self, name: str, options: BaseModel) -> T:
        """The plug-in `name`, made with options of its own `Options`."""
        factory: Any = self._all[name]  # a protocol says nothing of constructors; the registration test checks them
        plugin: T = factory(options)
        return plugin
