"""Procedures, one file each. A new one is a new file here; nothing else has to know it.

A file ``rotate_member.py`` is the procedure ``rotate member``; it has ``build(site, parameters)``, which
returns a :class:`~organismctl.change.step.Procedure`.
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Mapping
from typing import TYPE_CHECKING, cast

from organismctl.change.errors import PlanError

if TYPE_CHECKING:
    from organismctl.change.site import Site
    from organismctl.change.step import Procedure
    from organismctl.identity.config import Json


def names() -> list[str]:
    """Every procedure: ``["retire", "rotate member"]``."""
    return sorted(
        module.name.replace("_", " ") for module in pkgutil.iter_modules(__path__) if module.name[0] != "_"
    )


def build(name: str, site: Site, parameters: Mapping[str, Json]) -> Procedure:
    """The procedure that a plan names.

    Args:
        name: ``rotate member``.
        site: The organism.
        parameters: The plan's parameters.

    Raises:
        PlanError: There is none of that name in this version.
        InputError: The parameters do not fit the organism.
    """
    if name not in names():
        raise PlanError(f"this version has no procedure {name[:80]!r}; it has {', '.join(names())}")
    module = importlib.import_module(f"{__name__}.{name.replace(' ', '_')}")
    return cast("Procedure", module.build(site, parameters))
