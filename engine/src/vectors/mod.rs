//! Golden vectors, printed out of mosaik's own types, for the reimplementation in `organismctl/identity/`.
//!
//! mosaik gives no access to a `GroupId` but through joining, so a relay and a node on 127.0.0.1 are started
//! for the time of it.

mod dice;
mod fixed;
mod random;

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};

use crate::{Error, MOSAIK_VERSION, Node, NodeConfig, Relay};

/// The fixed vectors, and `count` random configs by `seed`, as JSON:
/// `{"mosaik": …, "vectors": [{"section", "name", "value"}], "random": [{"kind", …, "value"}]}`.
///
/// # Errors
///
/// The node on 127.0.0.1 could not be started.
pub async fn vectors(seed: u64, count: usize) -> Result<String, Error> {
    let relay = Relay::start("127.0.0.1", 0).await?;
    let node = Arc::new(Node::start(local(relay.url())).await?);
    let document = document(&node, seed, count);
    node.close(Duration::from_millis(100)).await;
    relay.close().await?;
    serde_json::to_string_pretty(&document?).map_err(|error| Error::failed(error.to_string()))
}

fn document(node: &Arc<Node>, seed: u64, count: usize) -> Result<Value, Error> {
    Ok(json!({
        "mosaik": MOSAIK_VERSION,
        "types": {
            "machine": std::any::type_name::<crate::Machine>(),
            "item": std::any::type_name::<crate::SurfaceItem>(),
        },
        "vectors": fixed::vectors(node)?,
        "random": random::vectors(node, seed, count)?,
    }))
}

fn local(relay: &str) -> NodeConfig {
    NodeConfig {
        network: *mosaik::Digest::from("organismctl vectors").as_bytes(),
        secret_key: *mosaik::Digest::random().as_bytes(),
        relay: Some(relay.to_owned()),
        bind: vec!["127.0.0.1:0".to_owned()],
        bootstrap: Vec::new(),
        tickets: Vec::new(),
        announce: Duration::from_mins(1),
        timeout: Duration::from_secs(30),
    }
}
