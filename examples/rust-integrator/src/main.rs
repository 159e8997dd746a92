//! Reads a surface from Rust: `Consumer<SurfaceItem>`, one line of JSON an item.
//!
//! ```text
//! rust-integrator --network NAME-OR-HEX --stream HEX --peer PEERID@HOST:PORT [--relay URL] [--count N]
//! ```

use std::error::Error;
use std::net::SocketAddr;
use std::time::Duration;

use organismctl_engine::mosaik::discovery::Config as DiscoveryConfig;
use organismctl_engine::mosaik::iroh::{EndpointAddr, RelayConfig, RelayMap, RelayMode, RelayUrl};
use organismctl_engine::mosaik::streams::Consumer;
use organismctl_engine::mosaik::{Network, NetworkId, PeerId, StreamId};
use organismctl_engine::{Item, SurfaceItem};
use serde_json::{Value, json};

struct Options {
    network: NetworkId,
    stream: StreamId,
    peer: PeerId,
    address: SocketAddr,
    relay: Option<RelayUrl>,
    count: usize,
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let options = Options::from_args(std::env::args().skip(1))?;
    let network = start(&options).await?;
    let mut consumer: Consumer<SurfaceItem> =
        network.streams().consumer::<SurfaceItem>().with_stream_id(options.stream).build();
    meet(&network, &options).await?;
    for _ in 0..options.count {
        let Some(item) = consumer.recv().await else { break };
        println!("{}", show(&item));
        if matches!(item.item, Item::Retirement(_)) {
            break; // The organism has retired: nothing follows.
        }
    }
    drop(consumer);
    let endpoint = network.local().endpoint().clone();
    drop(network);
    tokio::time::sleep(Duration::from_millis(550)).await; // mosaik says goodbye for half a second.
    endpoint.close().await;
    Ok(())
}

async fn start(options: &Options) -> Result<Network, Box<dyn Error>> {
    let builder = Network::builder(options.network);
    let Some(relay) = &options.relay else { return Ok(builder.build().await?) };
    // A site without internet: its own relay (which speaks no QUIC), no search in the public DHT, and no
    // questions to iroh's name service, which would hold up each dial for seconds.
    let relay = RelayConfig { url: relay.clone(), quic: None };
    let builder = builder
        .with_relay_mode(RelayMode::Custom(RelayMap::from(relay)))
        .with_discovery(DiscoveryConfig::builder().no_dht_bootstrap());
    let network = builder.build().await?;
    network.local().endpoint().address_lookup()?.clear();
    Ok(network)
}

/// Exchanges catalogs with a node of the organism; one of several attempts may time out.
async fn meet(network: &Network, options: &Options) -> Result<(), Box<dyn Error>> {
    let mut address = EndpointAddr::new(options.peer).with_ip_addr(options.address);
    if let Some(relay) = &options.relay {
        address = address.with_relay_url(relay.clone());
    }
    let mut last = String::new();
    for _ in 0..10 {
        match tokio::time::timeout(Duration::from_secs(5), network.discovery().sync_with(address.clone()))
            .await
        {
            Ok(Ok(())) => return Ok(()),
            Ok(Err(error)) => last = error.to_string(),
            Err(_) => last = "no answer within 5 s".to_owned(),
        }
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
    Err(format!("{} at {} was not reached: {last}", options.peer, options.address).into())
}

fn show(item: &SurfaceItem) -> Value {
    let signers = item.certificate.signatures.len();
    let mut line = json!({"seq": item.seq, "height": item.height, "signers": signers});
    match &item.item {
        Item::Fact(data) => {
            line["fact"] = data.iter().map(|byte| format!("{byte:02x}")).collect::<String>().into();
        }
        Item::Retirement(marker) => {
            line["retirement"] = json!({
                "effective_at": marker.effective_at,
                "replacement": marker.replacement,
                "reason": marker.reason,
            });
        }
    }
    line
}

impl Options {
    fn from_args(mut args: impl Iterator<Item = String>) -> Result<Self, Box<dyn Error>> {
        let (mut network, mut stream, mut peer, mut relay, mut count) = (None, None, None, None, usize::MAX);
        while let Some(option) = args.next() {
            let value = args.next().ok_or_else(|| format!("{option} needs a value"))?;
            match option.as_str() {
                "--network" => network = Some(NetworkId::from(value.as_str())),
                "--stream" => stream = Some(StreamId::from(value.as_str())),
                "--peer" => peer = Some(value),
                "--relay" => relay = Some(value.parse()?),
                "--count" => count = value.parse()?,
                _ => return Err(format!("unknown option {option}").into()),
            }
        }
        let peer = peer.ok_or("--peer PEERID@HOST:PORT is needed")?;
        let (id, address) = peer.split_once('@').ok_or("--peer is PEERID@HOST:PORT")?;
        Ok(Self {
            network: network.ok_or("--network is needed")?,
            stream: stream.ok_or("--stream is needed")?,
            peer: id.parse()?,
            address: address.parse()?,
            relay,
            count,
        })
    }
}
