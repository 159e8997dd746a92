//! mosaik for organismctl: the thinnest glue over network, discovery, groups, streams, maps and a relay.
//!
//! Rust integrators need only [`SurfaceItem`]: a surface is a mosaik stream of it, read with
//! `Consumer<SurfaceItem>`, or a mosaik `Map<u64, SurfaceItem>` with the marker under [`MARKER_KEY`].
//! With the feature `python` the crate is the extension module `organismctl_engine`.

mod address;
mod behind;
mod entry;
mod error;
mod group;
mod inbox;
mod item_map;
mod keeper;
mod machine;
mod network;
mod pace;
mod producer;
#[cfg(feature = "python")]
mod python;
mod raw;
mod reading;
mod relay;
mod runtime;
mod subscription;
mod surface;
mod validator;
mod vectors;

use std::sync::{Arc, Mutex};

use mosaik::{Bytes, Digest};
use serde::{Deserialize, Serialize};

pub use error::Error;
pub use group::{Group, GroupConfig, GroupStatus};
pub use inbox::Inbox;
pub use item_map::ItemMap;
pub use mosaik;
pub use network::{Node, NodeConfig};
pub use producer::{Producer, Sent};
pub use raw::Raw;
pub use relay::Relay;
pub use runtime::runtime;
pub use subscription::Subscription;
pub use surface::{Certificate, Item, MARKER_KEY, PeerSignature, RetirementMarker};
pub use validator::{JwtPolicy, TdxPolicy, Validator, Variant};
pub use vectors::vectors;

/// The release of mosaik that this crate is built on; `Cargo.toml` pins it.
pub const MOSAIK_VERSION: &str = "0.3.18";

/// The replicated machine of a committee's group.
///
/// It stands at the crate's root because rustc's path of it, `organismctl_engine::Machine`, is part of
/// every group id (mosaik's `LogReplaySync` signs it): moving or renaming it founds other groups.
pub struct Machine {
    pub(crate) signature: Digest,
    pub(crate) batch: std::num::NonZero<u64>,
    pub(crate) fetch_timeout: std::time::Duration,
    pub(crate) applied: Option<Arc<Mutex<Vec<Bytes>>>>,
}

/// One item of a surface, encoded as postcard.
///
/// It stands at the crate's root for the reason given at [`Machine`]: `organismctl_engine::SurfaceItem`
/// is part of the group id of every map surface.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SurfaceItem {
    /// Counts from 0 on each surface, without gaps; readers drop repeats.
    pub seq: u64,
    /// The item's place in the certified ledger.
    pub height: u64,
    /// A fact, or at the very end the marker.
    pub item: Item,
    /// Who of the roster signed it.
    pub certificate: Certificate,
}
