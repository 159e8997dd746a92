"""Makes what a committee needs before its first start: keys, secrets, the first roster's digest, empty ledgers."""

from __future__ import annotations

import secrets as random_secrets
from dataclasses import dataclass
from pathlib import Path

from organismctl.committee.carrier.wire import api_address
from organismctl.committee.command import Genesis, encode_command
from organismctl.committee.ledger.roster import GenesisRecord
from organismctl.committee.ledger.store import FILE, create_founder, create_learner
from organismctl.committee.machine import MachineConfig
from organismctl.committee.node.settings import needed
from organismctl.errors import InputError, RefusedError
from organismctl.files.deployment import Deployment, Node, load_deployment, parse_deployment
from organismctl.files.edit import edit, set_value
from organismctl.files.organism import load_organism, parse_organism
from organismctl.files.secret import create_secret, read_secret
from organismctl.identity.fingerprint import identity_of
from organismctl.identity.peer import peer_id_from_seed
from organismctl.identity.roster import roster_digest

PORT_STEP = 10
"""From a node's API port to the mosaik port that is drafted for it."""


@dataclass(frozen=True, slots=True)
class Founded:
    """What was made: one line each, for the operator."""

    lines: tuple[str, ...]


def init(
    deployment_file: Path, only: str | None = None, *, join: bool = False, carrier: str | None = None
) -> Founded:
    """Make what is missing; what is there already stays as it is.

    Args:
        deployment_file: deployment.toml; nodes without a peer id of their own key get both.
        only: Only this node's data (its own host); else every node's.
        join: Make the ledger of a spare, which fetches everything from its peers and is added by a rotation.
        carrier: Write this carrier into the file, and for ``mosaik`` an address for every node that has none.

    Raises:
        InputError: The files hold problems.
        RefusedError: A ledger is there, or the present roster differs from the genesis in organism.toml.
    """
    lines = [] if carrier is None else draft_carrier(deployment_file, carrier)
    lines += _secrets(load_deployment(deployment_file))
    lines += _keys(deployment_file, only)
    deployment = load_deployment(deployment_file)
    chosen = [node for node in deployment.nodes if only in (None, node.name)]
    if only is not None and not chosen:
        raise InputError(f"{deployment.file} has no node {only!r}")
    founders = [node for node in deployment.nodes if node.roster]
    lines += _genesis(deployment, founders, write=not join)
    for node in chosen:
        lines += _ledger(deployment, node, founders, join=join or not node.roster)
    return Founded(tuple(lines))


def draft_carrier(deployment_file: Path, carrier: str) -> list[str]:
    """Write a carrier into deployment.toml, with what it needs; what is there stays.

    Raises:
        InputError: The file holds problems, or a node has neither address nor URL.
    """
    deployment = load_deployment(deployment_file)
    edits, lines = [], []
    if deployment.carrier != carrier:
        edits.append(set_value(("carrier",), carrier))
        lines.append(f'{deployment_file}: carrier = "{carrier}"')
    taken = {node.address for node in deployment.nodes}
    for index, node in enumerate(deployment.nodes):
        if carrier != "mosaik" or node.address is not None:
            continue
        address = _address(deployment, node, taken)
        taken.add(address)
        edits.append(set_value(("node", index, "address"), address))
        lines.append(f"{node.name} has the mosaik address {address}: change it when another one reaches it")
    if carrier == "mosaik" and deployment.mosaik.relay is None:
        lines.append(
            "no [mosaik] relay is named, so mosaik's public ones count; without internet: `organismctl committee relay`"
        )
    if carrier == "mosaik" and any(not node.tickets for node in deployment.nodes):
        lines += [
            "before its start each node needs a ticket that [[acl]] admits; with the key of [[acl]]:",
            "  organismctl tickets request --committee -o request.json",
            "  organismctl tickets issue --key secrets/admission.key --request request.json -o bundle.json",
            "  organismctl tickets import bundle.json",
        ]
    if edits:
        edit(deployment_file, *edits, validate=lambda text: parse_deployment(text, deployment_file))
    return lines


def _address(deployment: Deployment, node: Node, taken: set[str | None]) -> str:
    """The host of a node's API, at a port of its own."""
    if node.url is None:
        raise InputError(
            f"{deployment.file}: node {node.name} has neither url nor address",
            advice='give it an `address = "HOST:PORT"`',
        )
    where = api_address(node.url)
    host = f"[{where.host}]" if ":" in where.host else where.host
    ports = (port for port in range(where.port + PORT_STEP, 65536) if f"{host}:{port}" not in taken)
    return f"{host}:{next(ports, 7111)}"


def _secrets(deployment: Deployment) -> list[str]:
    lines = []
    for key in ("group", "read_token", "operate_token"):
        path = needed(deployment, getattr(deployment.secrets, key), f"secrets.{key}")
        if not path.exists():
            create_secret(path, random_secrets.token_hex(32))
            lines.append(f"made {path} (mode 0600)")
    return lines


def _keys(deployment_file: Path, only: str | None) -> list[str]:
    """Key files; a node's peer id in deployment.toml follows its key when the key is made here."""
    lines = []
    deployment = load_deployment(deployment_file)
    for index, node in enumerate(deployment.nodes):
        if only not in (None, node.name) or node.key is None:
            continue
        path = deployment.resolve(node.key)
        if path.exists():
            peer_id = peer_id_from_seed(bytes.fromhex(read_secret(path).reveal()))
        else:
            seed = random_secrets.token_bytes(32)
            create_secret(path, seed.hex())
            peer_id = peer_id_from_seed(seed)
            lines.append(f"made {path} (mode 0600)")
        if peer_id != node.peer_id:
            edit(deployment_file, set_value(("node", index, "peer_id"), peer_id.hex()))
            lines.append(f"{node.name} has peer id {peer_id.hex()}")
    return lines


def _genesis(deployment: Deployment, founders: list[Node], *, write: bool) -> list[str]:
    """The first roster's digest in organism.toml."""
    path = deployment.resolve(deployment.organism)
    config = load_organism(path).config
    if config.genesis is None and not write:
        raise InputError(
            f"{path} has no [genesis], so there is no committee to join",
            advice="the committee's own organism.toml has it; `committee init` without --join founds one",
        )
    if config.genesis is not None:
        return []
    if not founders:
        raise InputError(
            f"{deployment.file} has no [[node]] on the roster", advice="a committee needs one or more"
        )
    digest = roster_digest(node.peer_id for node in founders).hex()
    edit(
        path, set_value(("genesis", "roster"), digest), validate=lambda text: parse_organism(text, str(path))
    )
    return [f"{path}: [genesis] roster = {digest[:10]}…"]


def _ledger(deployment: Deployment, node: Node, founders: list[Node], *, join: bool) -> list[str]:
    folder = needed(deployment, node.data, f"the data of node {node.name}")
    if (folder / FILE).exists():
        return [f"{node.name}: a ledger is there already, left as it is"]
    if join:
        create_learner(folder)
        return [f"{node.name}: an empty ledger in {folder}, to be filled by its peers"]
    config = load_organism(deployment.resolve(deployment.organism)).config
    members = tuple(sorted(one.peer_id for one in founders))
    if config.genesis is not None and roster_digest(members) != config.genesis.roster:
        raise RefusedError(
            "the nodes on the roster are not those of [genesis] in organism.toml: the committee has moved on",
            advice="make a node of a running committee with `committee init --join`",
        )
    identity = identity_of(config)
    MachineConfig.of(config, identity.fingerprint)
    command = encode_command(Genesis(fingerprint=identity.fingerprint, members=members))
    create_founder(folder, GenesisRecord.parse(command))
    return [f"{node.name}: a ledger with Genesis in {folder}"]
