"""The shape of a ticket validator in organism.toml, and the validator that it says.

What mosaik's signature could not tell from something else is refused here, by
:func:`organismctl.identity.validator.validator_problems`, with the line of the key.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from organismctl.files.fields import Choice, Duration, Flag, Hex, Moment, Parameters, Strings, Text
from organismctl.files.keypath import child
from organismctl.files.schema import Field, Invalid, Reader, Table, Tables, Tagged
from organismctl.identity.validator import (
    KEY_SIZES,
    REGISTERS,
    SECRET_ALGS,
    JwtKey,
    JwtValidator,
    TdxCriteria,
    TdxValidator,
    validator_problems,
)

POLICY_SECONDS = Duration(1000, whole_seconds=True)
"""A limit that mosaik keeps in whole seconds, zero meaning none."""
_NO_COMMA = Text("text without a comma (mosaik joins them with commas)", pattern=r"[^,]+")


def _check_key(values: dict[str, Any], path: str, reader: Reader) -> None:
    """A key or its fingerprint, not both; never the key of an HS algorithm, which is the signing secret."""
    alg, key, fingerprint = values["alg"], values["key"], values["fingerprint"]
    if isinstance(alg, str) and alg in SECRET_ALGS and key is not None:
        # Drop what the hex check said of it: the whole key has to go, whatever its form.
        reader.problems[:] = [p for p in reader.problems if p.key != child(path, "key")]
        values["key"] = reader.problem(
            child(path, "key"),
            f"the raw {alg} key, which is the signing secret (not shown)",
            'fingerprint = "64 hex" (mosaik\'s fingerprint of it) in place of key; then renew the secret',
        )
    elif (key is None) == (fingerprint is None):
        found = None if key is None else "both key and fingerprint"
        at = child(path, "key") if key is None else path
        values["key"] = reader.problem(at, found, "key or fingerprint, one of them")
    elif isinstance(alg, str) and isinstance(key, bytes) and len(key) != KEY_SIZES[alg]:
        allowed = f"{KEY_SIZES[alg]} bytes ({2 * KEY_SIZES[alg]} hex) for {alg}"
        values["key"] = reader.problem(child(path, "key"), f"{len(key)} bytes", allowed)


def _check_jwt(values: dict[str, Any], path: str, reader: Reader) -> None:
    _check_validator({"type": "jwt", **values}, path, reader)


def _check_tdx(values: dict[str, Any], path: str, reader: Reader) -> None:
    _check_validator({"type": "tdx", **values}, path, reader)


def _check_validator(values: dict[str, Any], path: str, reader: Reader) -> None:
    """What identity/ refuses of a whole validator; nothing while a part of it is invalid."""
    if _holds_invalid(values):
        return
    for key, found, allowed in validator_problems(build_validator(values)):
        claim = key.removeprefix("claims.")
        at = child(child(path, "claims"), claim) if claim != key else f"{path}.{key}"
        reader.problem(at, found, allowed)


def _holds_invalid(value: Any) -> bool:
    if isinstance(value, Mapping):
        return any(_holds_invalid(inner) for inner in value.values())
    if isinstance(value, (list, tuple)):
        return any(_holds_invalid(inner) for inner in value)
    return isinstance(value, Invalid)


KEY = Table(
    {
        "alg": Field(Choice(tuple(KEY_SIZES)), "signature algorithm", required=True),
        "key": Field(Hex(None, secret=True), "the public key; never for HS256, HS384, HS512"),
        "fingerprint": Field(Hex(32), "mosaik's key fingerprint, in place of the key"),
    },
    check=_check_key,
)
_JWT = {
    "keys": Field(Tables(KEY, low=1), "keys that may sign, in order", required=True),
    "issuers": Field(Strings(_NO_COMMA, distinct=True), "accepted iss; none means any", default=()),
    "audiences": Field(Strings(_NO_COMMA, distinct=True), "accepted aud; none means any", default=()),
    "subject": Field(Text("text, not empty"), "required sub; absent: the peer id"),
    "allow_non_expiring": Field(Flag(), "admit tickets without exp", default=False),
    "max_lifetime": Field(POLICY_SECONDS, "longest remaining life"),
    "max_age": Field(POLICY_SECONDS, "longest time since iat"),
    "claims": Field(Parameters(scalars=True), "private claims that must be equal", default={}),
}
_REGISTERS = {name: Field(Hex(48), "96 hex; absent matches anything") for name in REGISTERS}
_TDX = {
    **_REGISTERS,
    "variants": Field(Tables(Table(_REGISTERS)), "further measurements, in order", default=()),
    "max_age": Field(POLICY_SECONDS, "longest time since the quote"),
    "not_before": Field(Moment(), "earliest time of the quote"),
    "max_lifetime": Field(POLICY_SECONDS, "longest time from quote to expiry"),
}
_STATE = {"state": Field(Choice(("current", "next")), "next: a root about to take over", default="current")}

VALIDATOR = Tagged("type", {"jwt": Table(_JWT, check=_check_jwt), "tdx": Table(_TDX, check=_check_tdx)})
"""Who may sit on the committee."""
ISSUER = Tagged(
    "type",
    {
        "jwt": Table({**_STATE, **_JWT}, check=_check_jwt),
        "tdx": Table({**_STATE, **_TDX}, check=_check_tdx),
    },
)
"""Whose tickets our nodes need at a spanned member."""


def build_validator(values: Mapping[str, Any]) -> JwtValidator | TdxValidator:
    """The validator of values that hold no problem.

    Args:
        values: What :data:`VALIDATOR` or :data:`ISSUER` read.
    """
    if values["type"] == "tdx":
        return TdxValidator(
            baseline=_criteria(values),
            variants=tuple(_criteria(one) for one in values["variants"]),
            max_age_s=values["max_age"],
            not_before_s=values["not_before"],
            max_lifetime_s=values["max_lifetime"],
        )
    return JwtValidator(
        keys=tuple(JwtKey(one["alg"], one["key"], one["fingerprint"]) for one in values["keys"]),
        issuers=values["issuers"],
        audiences=values["audiences"],
        subject=values["subject"],
        allow_non_expiring=values["allow_non_expiring"],
        max_lifetime_s=values["max_lifetime"],
        max_age_s=values["max_age"],
        claims=values["claims"],
    )


def _criteria(values: Mapping[str, Any]) -> TdxCriteria:
    return TdxCriteria(**{name: values[name] for name in REGISTERS})
