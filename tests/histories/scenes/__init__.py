"""The scenes to record: a module for each flow, whose `SCENES` are found here by themselves."""

import pkgutil
from importlib import import_module

from tests.histories.scene import Scene

SCENES: tuple[Scene, ...] = tuple(
    scene
    for module in pkgutil.iter_modules(__path__, f"{__name__}.")
    for scene in import_module(module.name).SCENES
)
