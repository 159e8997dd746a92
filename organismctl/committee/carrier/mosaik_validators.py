"""From validators as organism.toml has them to mosaik's own, which then enforce them."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import cast

from organismctl.committee.carrier.mosaik_engine import Validator as EngineValidator
from organismctl.committee.carrier.mosaik_engine import load_engine, translated
from organismctl.errors import InputError, OrganismError
from organismctl.identity.config import Validator
from organismctl.identity.validator import REGISTERS, JwtValidator, TdxCriteria, TdxValidator


def mosaik_validators(validators: Iterable[Validator], where: str) -> list[EngineValidator]:
    """mosaik's validators, in order.

    Args:
        validators: As configured.
        where: Where they stand, for a message: ``[[acl]]``.

    Raises:
        InputError: One cannot validate: it holds a key's fingerprint in place of the key.
        OrganismError: mosaik does not take one, or makes another signature of it than this tool does.
    """
    return [_validator(one, f"{where} {number}") for number, one in enumerate(validators, 1)]


def _validator(validator: Validator, where: str) -> EngineValidator:
    with translated(f"take the validator of {where}"):
        made = _jwt(validator, where) if isinstance(validator, JwtValidator) else _tdx(validator)
    if bytes(made.signature) != validator.signature():
        raise OrganismError(
            f"mosaik makes another signature of the validator of {where} than this tool does",
            advice="the group id would differ too; report it with that part of organism.toml",
        )
    return made


def _jwt(validator: JwtValidator, where: str) -> EngineValidator:
    keys = []
    for number, key in enumerate(validator.keys, 1):
        if key.key is None:
            raise InputError(
                f"{where}, key {number}: {key.alg} stands there by its fingerprint alone, so nothing can be validated",
                advice="a node on mosaik admits by public keys: use ES256, ES384, ES512 or EdDSA",
            )
        keys.append((key.alg, key.key))
    return cast(
        "EngineValidator",
        load_engine().Validator.jwt(
            keys,
            issuers=list(validator.issuers),
            audiences=list(validator.audiences),
            subject=validator.subject,
            max_lifetime_s=validator.max_lifetime_s,
            max_age_s=validator.max_age_s,
            allow_non_expiring=validator.allow_non_expiring,
            claims=json.dumps(dict(validator.claims), ensure_ascii=False),
        ),
    )


def _tdx(validator: TdxValidator) -> EngineValidator:
    return cast(
        "EngineValidator",
        load_engine().Validator.tdx(
            **_registers(validator.baseline),
            variants=[_registers(one) for one in validator.variants],
            max_age_s=validator.max_age_s,
            not_before_unix_s=validator.not_before_s,
            max_lifetime_s=validator.max_lifetime_s,
        ),
    )


def _registers(criteria: TdxCriteria) -> dict[str, bytes]:
    found = {name: criteria.get(name) for name in REGISTERS}
    return {name: value for name, value in found.items() if value is not None}
