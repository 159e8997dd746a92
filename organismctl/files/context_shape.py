"""The shape of contexts.toml: names for the organisms that an operator looks after."""

from __future__ import annotations

from organismctl.files.fields import Each, Label, Text, Whole
from organismctl.files.schema import Field, Table

CONTEXT = Table(
    {
        "organism": Field(Text("a path to an organism.toml"), "its public side"),
        "deployment": Field(Text("a path to a deployment.toml"), "our side"),
        "lock": Field(Text("a path to an organism.lock"), "the accepted identity"),
    }
)
CONTEXTS = Table(
    {
        "schema": Field(Whole(1, 1), "version of this format", required=True),
        "default": Field(Label(), "the context that is taken when none is named"),
        "context": Field(Each(CONTEXT), "name to files", default={}),
    },
    doc="contexts.toml: names for the organisms that an operator looks after",
)
