//! The vectors of `vectors.json` that are mosaik's, under the same names.

use std::sync::Arc;
use std::time::Duration;

use mosaik::collections::MapReader;
use mosaik::groups::{ConsensusConfig, GroupKey, LogReplaySync, NoOp, StateMachine, StateSync};
use mosaik::iroh::SecretKey;
use mosaik::tdx::{Measurement, MeasurementsCriteria, Tdx};
use mosaik::tickets::{EdDsa, Es256, Hs256, Hs384, Hs512, Jwt, Ticket, TicketValidator};
use mosaik::{Datum, Digest};
use serde_json::{Value, json};

use crate::{Error, Node};

const HEX: &str = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";
const ES: [u8; 33] = [
    0x02, 0x98, 0xa8, 0x2e, 0xbe, 0x69, 0xad, 0x57, 0xe0, 0xf7, 0xd5, 0xc2, 0x80, 0x9a, 0x05, 0x18, 0x8f,
    0xf5, 0x85, 0x72, 0xc5, 0xa5, 0x00, 0x90, 0x15, 0xf2, 0x66, 0x43, 0xf9, 0x1e, 0x0d, 0x32, 0x36,
];
const MRTD: &str =
    "91eb2b44d141d4ece09f0c75c2c53d247a3c68edd7fafe8a3520c942a604a407de03ae6dc5f87f27428b2538873118b7";
const RTMR1: &str =
    "87e50edd90e2f9d53a7f2a9bd51c1069a454b827f0e1002577c54e1c2a5985689f9d0cd8104a40fe7e1751e496b97ce8";
const RTMR2: &str =
    "024159bb9157d05c9b0952e5d924790761e39c92135ffe1387fd0ab1d94a68fb1c61541859dc6de0f2b3147e25303b7c";

struct List(Vec<Value>);

impl List {
    fn add(&mut self, section: &str, name: &str, value: impl Into<Digest>) {
        let value: Digest = value.into();
        self.0.push(json!({"section": section, "name": name, "value": value.to_string(), "rust": true}));
    }
}

pub(super) fn vectors(node: &Arc<Node>) -> Result<Vec<Value>, Error> {
    let mut list = List(Vec::new());
    digests(&mut list);
    jwts(&mut list);
    tdx(&mut list)?;
    names(&mut list);
    groups(&mut list, node)?;
    Ok(list.0)
}

fn secret() -> Digest {
    Digest::hash(b"mosaik.test.jwt.secret")
}

fn public() -> [u8; 32] {
    *SecretKey::from(Digest::from("stable-node-seed")).public().as_bytes()
}

fn hs256() -> Hs256 {
    Hs256::new(secret().into())
}

fn j1() -> Jwt {
    Jwt::with_key(hs256()).allow_issuer("mosaik.test.jwt.issuer")
}

fn digests(list: &mut List) {
    let universe = Digest::from("mosaik.universe");
    list.add("digest", "uid mosaik.universe", universe);
    list.add("digest", "uid HEX", HEX);
    list.add("digest", "uid HEX upper", HEX.to_uppercase().as_str());
    list.add("digest", "uid 0x+HEX", format!("0x{HEX}").as_str());
    list.add("digest", "uid empty", "");
    list.add("digest", "D.derive('a')", universe.derive("a"));
    list.add("digest", "D.hashed", universe.hashed());
    list.add("digest", "from_parts('a','bc')", Digest::from_parts(&["a", "bc"]));
    list.add("digest", "from_u8(2)", Digest::from_u8(2));
    list.add("digest", "from_u64(258)", Digest::from_u64(258));
    list.add("digest", "peer from 'stable-node-seed'", Digest::from_bytes(public()));
}

fn jwts(list: &mut List) {
    let mut bytes = [0u8; 64];
    for (place, byte) in (0u8..).zip(bytes.iter_mut()) {
        *byte = place;
    }
    let (mut hs384, mut hs512) = ([0; 48], [0; 64]);
    hs384.copy_from_slice(&bytes[..48]);
    hs512.copy_from_slice(&bytes);
    list.add("jwt fp", "CLASS", Jwt::CLASS);
    list.add("jwt fp", "HS384 only", Jwt::with_key(Hs384::new(hs384)).signature());
    list.add("jwt fp", "HS512 only", Jwt::with_key(Hs512::new(hs512)).signature());
    list.add("jwt fp", "ES256 only", Jwt::with_key(Es256::new(ES)).signature());
    list.add("jwt fp", "EdDSA only", Jwt::with_key(EdDsa::new(public())).signature());
    let issuer = "mosaik.test.jwt.issuer";
    list.add("jwt sig", "J0 k1 only", Jwt::with_key(hs256()).signature());
    list.add(
        "jwt sig",
        "J2 k1,k2",
        Jwt::with_key(hs256()).add_key(Es256::new(ES)).allow_issuer(issuer).signature(),
    );
    list.add(
        "jwt sig",
        "J2' k2,k1",
        Jwt::with_key(Es256::new(ES)).add_key(hs256()).allow_issuer(issuer).signature(),
    );
    let full = Jwt::with_key(EdDsa::new(public()))
        .allow_non_expiring()
        .allow_issuer("iss-a")
        .allow_issuer("iss-b")
        .allow_audience("org")
        .require_subject("sub-1")
        .max_lifetime(Duration::from_hours(1))
        .max_age(Duration::from_mins(10))
        .require_claim("role", "member")
        .require_claim("n", 5)
        .require_claim("ok", true);
    list.add("jwt sig", "J3 full EdDSA", full.signature());
}

fn measurement(hex: &str) -> Result<Measurement, Error> {
    hex.parse().map_err(|_| Error::failed("a measurement that is no hex"))
}

fn tdx(list: &mut List) -> Result<(), Error> {
    let empty = MeasurementsCriteria::new();
    let one = MeasurementsCriteria::new().require_mrtd(measurement(MRTD)?);
    let three = one.clone().require_rtmr1(measurement(RTMR1)?).require_rtmr2(measurement(RTMR2)?);
    list.add("tdx", "CLASS", Tdx::CLASS);
    list.add("tdx", "crit empty", empty.signature());
    list.add("tdx", "crit mrtd", one.signature());
    list.add("tdx", "crit mrtd+r1+r2", three.signature());
    list.add("tdx", "Tdx(empty)", Tdx::empty().signature());
    list.add("tdx", "Tdx(c1)", Tdx::baseline(one.clone()).signature());
    list.add("tdx", "Tdx(c2)", Tdx::baseline(three).signature());
    let before = chrono::DateTime::from_timestamp(1_700_000_000, 0)
        .ok_or_else(|| Error::failed("a time beyond the calendar"))?;
    let full = Tdx::empty()
        .allow_variant(one)
        .max_age(Duration::from_hours(1))
        .not_before(before)
        .max_lifetime(Duration::from_hours(24));
    list.add("tdx", "Tdx(c0; variant c1; 3600,1700000000,86400)", full.signature());
    Ok(())
}

fn names(list: &mut List) {
    list.add("sync", "LogReplay NoOp", LogReplaySync::<NoOp>::default().signature());
    list.add("sync", "NoOp sig", NoOp.signature());
    list.add("groups", "secret1", *GroupKey::from_secret("secret1").secret());
    list.add("groups", "jwt secret", secret());
    list.add("groups", "J1", j1().signature());
    list.add("ids", "StreamId default String", String::derived_stream_id());
    list.add("ids", "StreamId 'acme.events'", "acme.events");
    list.add("ids", "StoreId leaderboard", "leaderboard");
    let ticket = Ticket::new(Jwt::CLASS, mosaik::Bytes::from_static(b"abc.def.ghi"));
    list.add("ids", "ticket id (jwt 'abc.def.ghi')", ticket.id());
}

fn groups(list: &mut List, node: &Arc<Node>) -> Result<(), Error> {
    let one = Tdx::baseline(MeasurementsCriteria::new().require_mrtd(measurement(MRTD)?));
    node.shared.with(|network| {
        let keyed = || network.groups().with_key(GroupKey::from_secret("secret1"));
        list.add("groups", "G0 secret1 noop", *keyed().join().id());
        list.add("groups", "G1 = G0 + J1", *keyed().require_ticket(j1()).join().id());
        let fast = ConsensusConfig {
            heartbeat_interval: Duration::from_millis(250),
            heartbeat_jitter: Duration::from_millis(50),
            max_missed_heartbeats: 4,
            ..ConsensusConfig::default()
        };
        list.add("groups", "G consensus 250/50/4", *keyed().with_consensus_config(fast).join().id());
        let from_validator = network.groups().with_key(&j1()).require_ticket(j1()).join();
        list.add("groups", "GroupKey::from(&J1) secret G", *from_validator.id());
        list.add("tdx", "GroupId secret1+Tdx(c1)", *keyed().require_ticket(one.clone()).join().id());
        let both = keyed().require_ticket(j1()).require_ticket(one).join();
        list.add("tdx", "GroupId secret1+J1+Tdx", *both.id());
        let board = MapReader::<String, u64>::reader(network, "leaderboard");
        list.add("ids", "Map group id", *board.group_id());
    })
}
