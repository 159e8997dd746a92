"""What one node is told: read from organism.toml, deployment.toml and the secrets that they name."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from organismctl.committee.carrier.mosaik import GroupOptions
from organismctl.committee.carrier.mosaik_network import NetworkOptions
from organismctl.committee.carrier.session import Party
from organismctl.committee.carrier.wire import Address, api_address, loopback_address
from organismctl.committee.machine import MachineConfig
from organismctl.errors import InputError, OrganismError
from organismctl.files.atomic import read_text
from organismctl.files.credentials import credential, key_name, node_key_file, secret_file
from organismctl.files.deployment import Deployment, Node, load_deployment
from organismctl.files.organism import load_organism
from organismctl.files.secret import Secret, read_secret
from organismctl.identity.config import OrganismConfig, SpannedMember
from organismctl.identity.digest import derive
from organismctl.identity.fingerprint import Identity, IdentityError, field_digests, identity_of
from organismctl.identity.group_id import group_id_of, group_secret, secret_hash, why_no_group_id
from organismctl.identity.parameters import ParameterError
from organismctl.identity.peer import peer_id_from_seed
from organismctl.identity.peer_entry import EntryPoint

PEER_TOKEN = "organismctl/loopback/1"  # noqa: S105 # the label that the token is derived with


@dataclass(frozen=True, slots=True)
class Upstream:
    """A spanned member as this node reads it.

    Attributes:
        member: Its part of organism.toml.
        endpoints: Node APIs that serve its surfaces.
        genesis: The digest of its first roster when its card, a file, tells; else it is remembered at first sight.
        tickets: This node's ticket files for it.
        peers: Peer ids of its mosaik peers that the deployment names.
    """

    member: SpannedMember
    endpoints: tuple[str, ...]
    genesis: bytes | None = None
    tickets: tuple[Path, ...] = ()
    peers: tuple[bytes, ...] = ()


@dataclass(frozen=True, slots=True, repr=False)
class MosaikSettings:
    """What a node on the mosaik carrier is told beside the rest.

    Attributes:
        network: Where and as whom it takes part.
        group: The Group that it bonds in.
        deployment: deployment.toml, which is read again for the tickets that it names.
        tickets: Files of its tickets for our own committee, as it named them at the start.
    """

    network: NetworkOptions
    group: GroupOptions
    deployment: Path
    tickets: tuple[Path, ...]


@dataclass(frozen=True, slots=True, repr=False)
class NodeSettings:
    """Everything that a node is started with.

    Attributes:
        name: Its name.
        party: Its peer id, key and peer token.
        host: Where it listens.
        port: See ``host``.
        data: Its folder.
        config: The organism.
        identity: What names the organism.
        group_id: mosaik's GroupId, or ``None``.
        machine: The machine's share of the config.
        names: Peer id to name of every node that the deployment names.
        addresses: Peer id to URL of the other nodes.
        upstreams: The spanned members.
        fields: Digest per config path.
        linger_ms: How long it serves after the seal.
        read_token: Bearer token of the read scope.
        operate_token: Bearer token of the operate scope.
        ca: Certificate authority of peers with https, or ``None``.
        endpoints: Every node's API, for the card.
        peers: The other nodes that the deployment names.
        mosaik: For the mosaik carrier; ``None`` on loopback.
    """

    name: str
    party: Party
    host: str
    port: int
    data: Path
    config: OrganismConfig
    identity: Identity
    group_id: bytes | None
    machine: MachineConfig
    names: Mapping[bytes, str]
    addresses: Mapping[bytes, str]
    upstreams: tuple[Upstream, ...]
    fields: Mapping[str, str]
    linger_ms: int
    read_token: Secret
    operate_token: Secret
    ca: Path | None = None
    endpoints: tuple[str, ...] = field(default=())
    peers: tuple[bytes, ...] = ()
    mosaik: MosaikSettings | None = None

    @property
    def peer_id(self) -> bytes:
        """This node's peer id."""
        return self.party.peer_id


def load_settings(deployment_file: Path, name: str, carrier: str | None = None) -> NodeSettings:
    """Read what the node of that name is started with.

    Args:
        deployment_file: deployment.toml.
        name: The node's name.
        carrier: Instead of the file's own.

    Raises:
        InputError: The files hold problems, or lack what a node needs; names all of it.
        RefusedError: A secret's file is open to others, or the node is not on this host.
        OrganismError: Something cannot be read.
    """
    deployment = load_deployment(deployment_file)
    node = find_node(deployment, name)
    loaded = load_organism(deployment.resolve(deployment.organism))
    config = loaded.config
    try:
        identity = identity_of(config)
        machine = MachineConfig.of(config, identity.fingerprint)
    except (IdentityError, ParameterError) as exc:
        raise InputError(
            f"{loaded.file}: {exc}", advice="a node of ours computes its identity itself"
        ) from exc
    group = group_secret(_secret(deployment, "group").reveal())
    seed = read_seed(deployment, node)
    url = node.url or ""
    on_mosaik = (carrier or deployment.carrier) == "mosaik"
    address: Address = api_address(url) if on_mosaik else loopback_address(url)
    group_id = group_id_of(config, secret_hash(group), identity)
    party = Party(node.peer_id, seed, derive(group, PEER_TOKEN), identity.fingerprint, url)
    return NodeSettings(
        name=name,
        party=party,
        host=address.host,
        port=address.port,
        data=needed(deployment, node.data, f"the data of node {name}"),
        config=config,
        identity=identity,
        group_id=group_id,
        machine=machine,
        names={one.peer_id: one.name for one in deployment.nodes},
        addresses={
            one.peer_id: one.url for one in deployment.nodes if one.url and one.peer_id != node.peer_id
        },
        upstreams=tuple(_upstream(deployment, member, name) for member in config.span),
        fields=field_digests(config),
        linger_ms=deployment.retire.linger_ms,
        read_token=_secret(deployment, "read_token"),
        operate_token=_secret(deployment, "operate_token"),
        ca=deployment.resolve(node.ca) if node.ca else None,
        endpoints=tuple(one.url for one in deployment.nodes if one.url),
        peers=tuple(one.peer_id for one in deployment.nodes if one.peer_id != node.peer_id),
        mosaik=_mosaik(deployment, node, config, identity, seed, group, group_id) if on_mosaik else None,
    )


def _mosaik(
    deployment: Deployment,
    node: Node,
    config: OrganismConfig,
    identity: Identity,
    seed: bytes,
    secret: bytes,
    group_id: bytes | None,
) -> MosaikSettings:
    """What the mosaik carrier needs.

    Raises:
        InputError: The deployment lacks an address, or the config has no machine signature.
    """
    missing = [one.name for one in deployment.nodes if one.address is None]
    if node.address is None or missing:
        raise InputError(
            f"{deployment.file}: {', '.join(missing)} has no address, which the mosaik carrier needs",
            advice='give each [[node]] an `address = "HOST:PORT"`, or run `committee init --carrier mosaik`',
        )
    if identity.machine_signature is None or group_id is None:
        raise InputError(
            f"{deployment.file}: {why_no_group_id(config, secret_hash(secret), identity)}",
            advice="a node of ours computes its group id itself",
        )
    spanned = [_entry(deployment, peer) for side in deployment.spans for peer in side.peers]
    bootstrap = [(one.peer_id, one.address) for one in deployment.nodes if one.peer_id != node.peer_id]
    bootstrap += [(one.peer_id, one.address) for one in spanned]
    group = config.group
    return MosaikSettings(
        network=NetworkOptions(
            network=config.network,
            seed=seed,
            bind=node.address,
            relay=deployment.mosaik.relay,
            bootstrap=_bootstrap(bootstrap),
        ),
        group=GroupOptions(
            secret=secret,
            signature=identity.machine_signature,
            expected=group_id,
            timing=(group.heartbeat_ms, group.heartbeat_jitter_ms, group.max_missed_heartbeats),
            sync=(group.sync_batch, group.sync_fetch_timeout_s),
            machine_type=group.machine_type,
        ),
        deployment=deployment.path,
        tickets=own_tickets(deployment, node.name),
    )


def own_tickets(deployment: Deployment, name: str) -> tuple[Path, ...]:
    """Files of a node's tickets for our own committee, as a deployment names them; none for a node unknown to it."""
    node = deployment.node(name)
    return () if node is None else tuple(deployment.resolve(one) for one in node.tickets)


def _bootstrap(pairs: Iterable[tuple[bytes, str | None]]) -> tuple[tuple[bytes, tuple[str, ...]], ...]:
    """Every peer once, with all of its addresses."""
    found: dict[bytes, dict[str, None]] = {}
    for peer, address in pairs:
        if address is not None:
            found.setdefault(peer, {})[address] = None
    return tuple((peer, tuple(addresses)) for peer, addresses in found.items())


def find_node(deployment: Deployment, name: str) -> Node:
    """The node of that name, which this host can run.

    Raises:
        InputError: There is none, or it lacks what it needs.
    """
    node = deployment.node(name)
    if node is None:
        known = ", ".join(one.name for one in deployment.nodes) or "none"
        raise InputError(f"{deployment.file} has no node {name!r}; it has {known}")
    missing = [key for key in ("url", "key", "data") if not getattr(node, key)]
    if credential(key_name(name)) is not None:
        missing = [key for key in missing if key != "key"]
    if missing:
        raise InputError(
            f"{deployment.file}: node {name} lacks {', '.join(missing)}",
            advice="a node is started on its own host, where these are known",
        )
    return node


def read_seed(deployment: Deployment, node: Node) -> bytes:
    """A node's ed25519 seed, which must be that of its peer id.

    Raises:
        InputError: It is not.
    """
    path = node_key_file(deployment, node) or needed(deployment, None, f"the key of node {node.name}")
    try:
        seed = bytes.fromhex(read_secret(path).reveal())
        good = len(seed) == 32 and peer_id_from_seed(seed) == node.peer_id
    except ValueError:
        good, seed = False, b""
    if not good:
        raise InputError(
            f"{path} does not hold the key of node {node.name}'s peer id {node.peer_id.hex()[:10]}",
            advice="a node's key is 64 hex; `organismctl committee init` makes one",
        )
    return seed


def _secret(deployment: Deployment, key: str) -> Secret:
    """A secret that a node cannot do without."""
    return read_secret(secret_file(deployment, key) or needed(deployment, None, f"secrets.{key}"))


def needed(deployment: Deployment, relative: str | None, what: str) -> Path:
    """A path that a node cannot do without.

    Raises:
        InputError: The file does not name it.
    """
    if not relative:
        raise InputError(f"{deployment.file} does not name {what}", advice="see docs/formats/deployment.toml")
    return deployment.resolve(relative)


def _upstream(deployment: Deployment, member: SpannedMember, node: str) -> Upstream:
    side = deployment.span(member.name)
    if side is None:
        return Upstream(member, ())
    tickets = tuple(deployment.resolve(one.file) for one in side.tickets if one.node == node)
    peers = tuple(dict.fromkeys(_entry(deployment, one).peer_id for one in side.peers))
    return Upstream(member, side.endpoints, _card_genesis(deployment, side.card), tickets, peers)


def _entry(deployment: Deployment, text: str) -> EntryPoint:
    """A mosaik peer that the deployment names.

    Raises:
        InputError: It is none.
    """
    try:
        return EntryPoint.parse(text)
    except ValueError as exc:
        raise InputError(f"{deployment.file}: span.peers: {text}: {exc}") from exc


def _card_genesis(deployment: Deployment, card: str | None) -> bytes | None:
    """The first roster's digest in a card that is a file; a card that cannot be read says nothing."""
    if card is None or card.startswith(("http://", "https://")):
        return None
    try:
        value = json.loads(read_text(deployment.resolve(card)))
        digest = bytes.fromhex(value["genesis"]["roster"])
    except (OrganismError, ValueError, TypeError, KeyError):
        return None
    return digest if len(digest) == 32 else None
