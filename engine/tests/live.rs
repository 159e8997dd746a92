//! Two nodes over a relay on 127.0.0.1, without Python.

use std::sync::Arc;
use std::time::Duration;

use mosaik::streams::Consumer;
use mosaik::{Bytes, Digest};
use organismctl_engine::{
    Certificate, Group, GroupConfig, Inbox, Item, Node, NodeConfig, Producer, Relay, Sent, Subscription,
    SurfaceItem, mosaik,
};
use tokio::time::{sleep, timeout};

const PATIENCE: Duration = Duration::from_mins(1);

fn config(name: &str, relay: &Relay, known: &[&Node]) -> NodeConfig {
    NodeConfig {
        network: *Digest::from("the engine's tests").as_bytes(),
        secret_key: *Digest::from(name).as_bytes(),
        relay: Some(relay.url().to_owned()),
        bind: vec!["127.0.0.1:0".to_owned()],
        bootstrap: known
            .iter()
            .map(|node| (*node.peer_id().as_bytes(), node.addresses().unwrap_or_default()))
            .collect(),
        tickets: Vec::new(),
        announce: Duration::from_secs(5),
        timeout: PATIENCE,
    }
}

async fn until(what: &str, condition: impl Fn() -> bool) {
    let waited = timeout(PATIENCE, async {
        while !condition() {
            sleep(Duration::from_millis(20)).await;
        }
    });
    assert!(waited.await.is_ok(), "{what} did not come");
}

async fn pair(relay: &Relay) -> (Arc<Node>, Arc<Node>) {
    let one = Arc::new(Node::start(config("one", relay, &[])).await.unwrap());
    let two = Arc::new(Node::start(config("two", relay, &[&one])).await.unwrap());
    (one, two)
}

fn group(heartbeat_jitter: u64) -> GroupConfig {
    GroupConfig {
        secret: [1; 32],
        signature: [2; 32],
        validators: Vec::new(),
        batch: 2000,
        fetch_timeout: Duration::from_secs(25),
        heartbeat: Duration::from_millis(500),
        heartbeat_jitter: Duration::from_millis(heartbeat_jitter),
        max_missed_heartbeats: 10,
        record: true,
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_group_and_its_links() {
    let relay = Relay::start("127.0.0.1", 0).await.unwrap();
    let (one, two) = pair(&relay).await;
    assert!(Group::join(&one, &group(0)).is_err(), "mosaik would panic");
    let groups = [Group::join(&one, &group(150)).unwrap(), Group::join(&two, &group(150)).unwrap()];
    assert!(Group::join(&one, &group(150)).is_err(), "joined twice");
    until("the bonds", || groups.iter().all(|group| group.status().unwrap().bonds.len() == 1)).await;
    until("the leader", || groups.iter().all(|group| group.status().unwrap().online)).await;
    let index = groups[1].execute(vec![Bytes::from_static(b"a command")], PATIENCE).await.unwrap();
    assert_eq!(index, 1);
    until("the command", || groups.iter().all(|group| group.applied().unwrap() == ["a command"])).await;

    let only = Some([two.peer_id()].into());
    let producer = Producer::open(&one, [7; 32], &[], only, 16).unwrap();
    assert_eq!(producer.send(Bytes::from_static(b"nobody hears")), Sent::Offline);
    let inbox = Inbox::new();
    let only = [one.peer_id()].into();
    let subscription = Subscription::open(&two, &inbox, [7; 32], 3, &[], Some(&only), 10).unwrap();
    until("the subscription", || producer.send(Bytes::from_static(b"heard")) == Sent::Sent).await;
    assert_eq!(inbox.recv(PATIENCE, 1).await, [(3, Bytes::from_static(b"heard"))]);
    assert_eq!(subscription.received(), 1);

    for node in [&two, &one] {
        node.close(Duration::from_secs(1)).await;
        assert!(node.is_closed() && node.peers().is_err());
    }
    assert!(groups[0].status().is_err());
    relay.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_surface_is_a_stream_of_items() {
    let relay = Relay::start("127.0.0.1", 0).await.unwrap();
    let node = Arc::new(Node::start(config("surface", &relay, &[])).await.unwrap());
    let reader = Node::start(config("reader", &relay, &[&node])).await.unwrap();
    let producer = Producer::open(&node, [9; 32], &[], None, 16).unwrap();
    let item = SurfaceItem {
        seq: 0,
        height: 1,
        item: Item::Fact(Bytes::from_static(b"a fact")),
        certificate: Certificate { roster_version: 1, signatures: Vec::new() },
    };
    let mut consumer: Consumer<SurfaceItem> = reader
        .with_network(|network| {
            network.streams().consumer().with_stream_id(Digest::from_bytes([9; 32])).build()
        })
        .unwrap();
    let encoded = Bytes::from(item.encode_item().unwrap());
    until("the consumer", || producer.send(encoded.clone()) == Sent::Sent).await;
    assert_eq!(timeout(PATIENCE, consumer.recv()).await.unwrap(), Some(item));
    drop(consumer);
    reader.close(Duration::from_secs(1)).await;
    node.close(Duration::from_secs(1)).await;
    relay.close().await.unwrap();
}

#[tokio::test]
async fn a_relay_that_does_not_answer_is_an_error() {
    let relay = Relay::start("127.0.0.1", 0).await.unwrap();
    let mut lost = config("lost", &relay, &[]);
    relay.close().await.unwrap();
    lost.timeout = Duration::from_secs(5);
    let error = Node::start(lost).await.map(|_| ()).unwrap_err();
    assert!(error.to_string().contains("relay"), "{error}");
}
