//! Peer entries that mosaik itself gives no constructor for: they are decoded from bytes of its own form.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{SystemTime, UNIX_EPOCH};

use mosaik::discovery::PeerEntry;
use mosaik::iroh::{EndpointAddr, SecretKey};
use mosaik::tickets::Ticket;
use mosaik::{Digest, PeerId};
use serde::Serialize;

use crate::{Error, MOSAIK_VERSION};

#[derive(Serialize)]
struct Shape {
    protocol: &'static str,
    network: Digest,
    version: (i64, i64),
    address: EndpointAddr,
    tags: BTreeSet<Digest>,
    streams: BTreeSet<Digest>,
    groups: BTreeSet<Digest>,
    tickets: BTreeMap<Digest, Ticket>,
}

/// An entry of `peer` in `network`, as of now, that claims nothing.
pub(crate) fn bare_entry(peer: PeerId, network: Digest) -> Result<PeerEntry, Error> {
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |since| i64::try_from(since.as_millis()).unwrap_or(i64::MAX));
    let shape = Shape {
        protocol: MOSAIK_VERSION,
        network,
        version: (now, now),
        address: EndpointAddr::new(peer),
        tags: BTreeSet::new(),
        streams: BTreeSet::new(),
        groups: BTreeSet::new(),
        tickets: BTreeMap::new(),
    };
    let bytes = postcard::to_allocvec(&shape).map_err(|error| Error::failed(error.to_string()))?;
    postcard::from_bytes(&bytes)
        .map_err(|error| Error::failed(format!("mosaik's peer entry has another form: {error}")))
}

/// An entry of a peer that does not exist: to insert and remove it is a change of the local catalog that
/// tells nobody anything (it is unsigned, so it never leaves this node).
pub(crate) fn nudge_entry(own: PeerId, network: Digest) -> Result<PeerEntry, Error> {
    let seed = Digest::from_bytes(*own.as_bytes()).derive("organismctl/nudge/1");
    bare_entry(SecretKey::from_bytes(seed.as_bytes()).public(), network)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bare_entry_is_what_mosaik_reads() {
        let peer = SecretKey::from_bytes(&[3; 32]).public();
        let network = Digest::from("a network");
        let entry = bare_entry(peer, network).unwrap();
        assert_eq!((entry.id(), entry.network_id()), (&peer, &network));
        assert_eq!(entry.protocol_version().to_string(), MOSAIK_VERSION);
        assert!(entry.tickets().is_empty());
    }

    #[test]
    fn the_nudge_is_never_ourselves() {
        let peer = SecretKey::from_bytes(&[3; 32]).public();
        assert_ne!(nudge_entry(peer, Digest::zero()).unwrap().id(), &peer);
    }
}
