//! A surface as a replicated map.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures::FutureExt;
use futures::future::BoxFuture;
use mosaik::collections::{CollectionConfig, MapReader, MapWriter};
use mosaik::{Digest, GroupId};
use tokio::time::timeout;

use crate::network::{Node, lock};
use crate::validator::Validator;
use crate::{Error, SurfaceItem};

enum Side {
    Writer(MapWriter<u64, SurfaceItem>),
    Reader(MapReader<u64, SurfaceItem>),
}

pub(crate) struct MapCell(Mutex<Option<Side>>);

/// A map of items by their seq, the marker under [`crate::MARKER_KEY`]; dropping it leaves.
pub struct ItemMap {
    // Keeps the node open as long as somebody holds the map.
    _node: Arc<Node>,
    cell: Arc<MapCell>,
    group_id: GroupId,
}

impl ItemMap {
    /// Joins a map's writers.
    ///
    /// # Errors
    ///
    /// The network is closed.
    pub fn writer(node: &Arc<Node>, store_id: [u8; 32], validators: &[Validator]) -> Result<Self, Error> {
        let config = config(validators);
        let id = Digest::from_bytes(store_id);
        let _inside = node.shared.on.enter();
        let map = node.shared.with(|network| MapWriter::writer_with_config(network, id, config))?;
        let group_id = *map.group_id();
        Ok(Self::of(node, Side::Writer(map), group_id))
    }

    /// Joins a map as a reader.
    ///
    /// # Errors
    ///
    /// The network is closed.
    pub fn reader(node: &Arc<Node>, store_id: [u8; 32], validators: &[Validator]) -> Result<Self, Error> {
        let config = config(validators);
        let id = Digest::from_bytes(store_id);
        let _inside = node.shared.on.enter();
        let map = node
            .shared
            .with(|network| MapReader::<u64, SurfaceItem>::reader_with_config(network, id, config))?;
        let group_id = *map.group_id();
        Ok(Self::of(node, Side::Reader(map), group_id))
    }

    fn of(node: &Arc<Node>, side: Side, group_id: GroupId) -> Self {
        let cell = Arc::new(MapCell(Mutex::new(Some(side))));
        let mut maps = lock(&node.shared.maps);
        maps.retain(|one| one.strong_count() > 0);
        maps.push(Arc::downgrade(&cell));
        drop(maps);
        Self { _node: Arc::clone(node), cell, group_id }
    }

    /// The group that the map's writers and readers are in.
    #[must_use]
    pub fn group_id(&self) -> GroupId {
        self.group_id
    }

    /// Writes an item, and waits until the map has it.
    ///
    /// # Errors
    ///
    /// A reader, bytes that are no item, no writer that leads, or no answer in time.
    pub async fn insert(&self, key: u64, item: &[u8], limit: Duration) -> Result<(), Error> {
        let item = SurfaceItem::decode_strict(item)?;
        // mosaik's future owns all it needs, but its type says that it borrows the map.
        let inserted: BoxFuture<'static, _> = match lock(&self.cell.0).as_ref() {
            Some(Side::Writer(map)) => map.insert(key, item).boxed(),
            Some(Side::Reader(_)) => return Err(Error::failed("this side of the map only reads")),
            None => return Err(Error::closed("map")),
        };
        let version = match timeout(limit, inserted).await {
            Ok(Ok(version)) => version,
            Ok(Err(error)) => return Err(Error::failed(format!("the map did not take the item: {error}"))),
            Err(_) => return Err(Error::timeout("the insertion", limit)),
        };
        let reached = self.reaches(version)?;
        timeout(limit, reached).await.map_err(|_| Error::timeout("the insertion", limit))
    }

    fn reaches(
        &self,
        version: mosaik::collections::Version,
    ) -> Result<impl Future<Output = ()> + Send + use<>, Error> {
        let cell = Arc::clone(&self.cell);
        self.side(|_| ())?;
        Ok(async move {
            while !cell.reached(version) {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        })
    }

    /// The item under a key, as postcard.
    ///
    /// # Errors
    ///
    /// The map was closed.
    pub fn get(&self, key: u64) -> Result<Option<Vec<u8>>, Error> {
        let item = self.side(|side| match side {
            Side::Writer(map) => map.get(&key),
            Side::Reader(map) => map.get(&key),
        })?;
        item.map(|item| item.encode_item()).transpose()
    }

    /// Every key, in ascending order.
    ///
    /// # Errors
    ///
    /// The map was closed.
    pub fn keys(&self) -> Result<Vec<u64>, Error> {
        let mut keys: Vec<u64> = self.side(|side| match side {
            Side::Writer(map) => map.keys().collect(),
            Side::Reader(map) => map.keys().collect(),
        })?;
        keys.sort_unstable();
        Ok(keys)
    }

    /// Whether the map can be written to, or is caught up, as far as this node knows.
    #[must_use]
    pub fn online(&self) -> bool {
        self.side(|side| {
            let when = match side {
                Side::Writer(map) => map.when(),
                Side::Reader(map) => map.when(),
            };
            when.online().now_or_never().is_some()
        })
        .unwrap_or(false)
    }

    /// Leaves; again is a no-op.
    pub fn close(&self) {
        self.cell.close();
    }

    fn side<T>(&self, look: impl FnOnce(&Side) -> T) -> Result<T, Error> {
        lock(&self.cell.0).as_ref().map(look).ok_or_else(|| Error::closed("map"))
    }
}

impl Drop for ItemMap {
    fn drop(&mut self) {
        self.close();
    }
}

impl MapCell {
    pub(crate) fn close(&self) {
        let side = lock(&self.0).take();
        drop(side);
    }

    fn reached(&self, version: mosaik::collections::Version) -> bool {
        lock(&self.0).as_ref().is_none_or(|side| match side {
            Side::Writer(map) => map.version() >= version,
            Side::Reader(map) => map.version() >= version,
        })
    }
}

fn config(validators: &[Validator]) -> CollectionConfig {
    validators.iter().fold(CollectionConfig::default(), |config, one| config.require_ticket(one.shared()))
}
