//! Random configs by seed, with what mosaik makes of them.

use std::sync::Arc;
use std::time::Duration;

use mosaik::PeerId;
use mosaik::iroh::SecretKey;
use mosaik::tickets::{
    EdDsaSigningKey, Es256SigningKey, Es384SigningKey, Es512SigningKey, Hs256, Hs384, Hs512,
    JwtTicketBuilder, SigningKey,
};
use serde_json::{Map, Value, json};

use super::dice::Dice;
use crate::{
    Error, Group, GroupConfig, ItemMap, JwtPolicy, Node, SurfaceItem, TdxPolicy, Validator, Variant,
};

const HOUR: u64 = 3600;

pub(super) fn vectors(node: &Arc<Node>, seed: u64, count: usize) -> Result<Vec<Value>, Error> {
    let mut dice = Dice::new(seed);
    let mut list = Vec::new();
    for _ in 0..count {
        list.push(group(node, &mut dice)?);
        list.push(map(node, &mut dice)?);
        list.push(ticket(&mut dice)?);
    }
    Ok(list)
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |text, byte| format!("{text}{byte:02x}"))
}

fn group(node: &Arc<Node>, dice: &mut Dice) -> Result<Value, Error> {
    let (validators, shown) = validators(dice)?;
    let heartbeat = 2 + dice.below(5000);
    let jitter = 1 + dice.below(heartbeat);
    let config = GroupConfig {
        secret: dice.id(),
        signature: dice.id(),
        validators,
        batch: 1 + dice.below(5000),
        fetch_timeout: Duration::from_secs(1 + dice.below(100)),
        heartbeat: Duration::from_millis(heartbeat),
        heartbeat_jitter: Duration::from_millis(jitter),
        max_missed_heartbeats: u32::try_from(1 + dice.below(50)).unwrap_or(1),
        record: false,
    };
    let id = Group::join(node, &config)?.id();
    Ok(json!({
        "kind": "group",
        "secret": hex(&config.secret),
        "machine": hex(&config.signature),
        "machine_type": std::any::type_name::<crate::Machine>(),
        "batch": config.batch,
        "fetch_timeout_s": config.fetch_timeout.as_secs(),
        "heartbeat_ms": heartbeat,
        "heartbeat_jitter_ms": jitter,
        "max_missed_heartbeats": config.max_missed_heartbeats,
        "validators": shown,
        "value": id.to_string(),
    }))
}

fn map(node: &Arc<Node>, dice: &mut Dice) -> Result<Value, Error> {
    let (validators, shown) = validators(dice)?;
    let store = dice.id();
    let map = ItemMap::reader(node, store, &validators)?;
    Ok(json!({
        "kind": "map",
        "store_id": hex(&store),
        "key_type": std::any::type_name::<u64>(),
        "value_type": std::any::type_name::<SurfaceItem>(),
        "validators": shown,
        "value": map.group_id().to_string(),
    }))
}

fn validators(dice: &mut Dice) -> Result<(Vec<Validator>, Vec<Value>), Error> {
    let (mut made, mut shown) = (Vec::new(), Vec::new());
    for _ in 0..dice.below(4) {
        let (validator, mut value) = if dice.coin() {
            let (policy, _) = jwt(dice);
            (Validator::jwt(&policy)?, jwt_value(&policy))
        } else {
            let policy = tdx(dice);
            (Validator::tdx(&policy)?, tdx_value(&policy))
        };
        value["signature"] = validator.signature().to_string().into();
        made.push(validator);
        shown.push(value);
    }
    Ok((made, shown))
}

fn key(dice: &mut Dice) -> (String, Vec<u8>, SigningKey) {
    fn point(debug: &str) -> Vec<u8> {
        // mosaik shows a point's bytes only in its Debug form: Es256("02…").
        let text = debug.split('"').nth(1).unwrap_or_default().as_bytes();
        let digit =
            |byte: u8| char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok()).unwrap_or(0);
        text.chunks(2).map(|pair| digit(pair[0]) << 4 | digit(pair[1])).collect()
    }
    /// A scalar that is below the order of every curve.
    fn scalar<const N: usize>(dice: &mut Dice) -> [u8; N] {
        let mut bytes = dice.bytes::<N>();
        bytes[0] = 0;
        bytes[N - 1] |= 1;
        bytes
    }
    match dice.below(7) {
        0 => {
            let secret = dice.bytes();
            ("HS256".into(), secret.to_vec(), Hs256::new(secret).into())
        }
        1 => {
            let secret = dice.bytes();
            ("HS384".into(), secret.to_vec(), Hs384::new(secret).into())
        }
        2 => {
            let secret = dice.bytes();
            ("HS512".into(), secret.to_vec(), Hs512::new(secret).into())
        }
        3 => {
            let signing = Es256SigningKey::from_bytes(scalar(dice));
            ("ES256".into(), point(&format!("{:?}", signing.verifying_key())), signing.into())
        }
        4 => {
            let signing = Es384SigningKey::from_bytes(scalar(dice));
            ("ES384".into(), point(&format!("{:?}", signing.verifying_key())), signing.into())
        }
        5 => {
            let signing = Es512SigningKey::from_bytes(scalar(dice));
            ("ES512".into(), point(&format!("{:?}", signing.verifying_key())), signing.into())
        }
        _ => {
            let seed = dice.id();
            let public = SecretKey::from_bytes(&seed).public().as_bytes().to_vec();
            ("EdDSA".into(), public, EdDsaSigningKey::from_bytes(seed).into())
        }
    }
}

fn jwt(dice: &mut Dice) -> (JwtPolicy, Vec<SigningKey>) {
    let (mut keys, mut signing) = (Vec::new(), Vec::new());
    for _ in 0..=dice.below(3) {
        let (name, bytes, signer) = key(dice);
        keys.push((name, bytes));
        signing.push(signer);
    }
    let mut claims = Map::new();
    for _ in 0..dice.below(3) {
        let value = match dice.below(4) {
            0 => Value::Null,
            1 => dice.coin().into(),
            2 => (i64::try_from(dice.below(1 << 53)).unwrap_or(0) - (1 << 52)).into(),
            _ => dice.text().into(),
        };
        claims.insert(format!("x-{}", dice.text()), value);
    }
    let policy = JwtPolicy {
        keys,
        issuers: dice.several(3, Dice::text),
        audiences: dice.several(2, Dice::text),
        subject: dice.maybe(Dice::text),
        max_lifetime: dice.maybe(|dice| Duration::from_secs(2 * HOUR + dice.below(HOUR))),
        max_age: dice.maybe(|dice| Duration::from_secs(2 * HOUR + dice.below(HOUR))),
        allow_non_expiring: dice.coin(),
        claims,
    };
    (policy, signing)
}

fn jwt_value(policy: &JwtPolicy) -> Value {
    let keys: Vec<Value> = policy.keys.iter().map(|(name, key)| json!([name, hex(key)])).collect();
    json!({
        "type": "jwt",
        "keys": keys,
        "issuers": policy.issuers,
        "audiences": policy.audiences,
        "subject": policy.subject,
        "max_lifetime_s": policy.max_lifetime.map(|limit| limit.as_secs()),
        "max_age_s": policy.max_age.map(|limit| limit.as_secs()),
        "allow_non_expiring": policy.allow_non_expiring,
        "claims": policy.claims,
    })
}

fn tdx(dice: &mut Dice) -> TdxPolicy {
    fn variant(dice: &mut Dice) -> Variant {
        Variant { mrtd: dice.maybe(Dice::bytes), rtmr: [(); 4].map(|()| dice.maybe(Dice::bytes)) }
    }
    TdxPolicy {
        baseline: variant(dice),
        variants: dice.several(2, variant),
        max_age: dice.maybe(|dice| Duration::from_secs(1 + dice.below(100_000))),
        not_before_s: dice.maybe(|dice| i64::try_from(dice.below(2_000_000_000)).unwrap_or(0)),
        max_lifetime: dice.maybe(|dice| Duration::from_secs(1 + dice.below(100_000))),
    }
}

fn tdx_value(policy: &TdxPolicy) -> Value {
    fn registers(variant: &Variant) -> Value {
        let [rtmr0, rtmr1, rtmr2, rtmr3] = variant.rtmr.map(|register| register.map(|bytes| hex(&bytes)));
        let mrtd = variant.mrtd.map(|bytes| hex(&bytes));
        json!({"mrtd": mrtd, "rtmr0": rtmr0, "rtmr1": rtmr1, "rtmr2": rtmr2, "rtmr3": rtmr3})
    }
    json!({
        "type": "tdx",
        "baseline": registers(&policy.baseline),
        "variants": policy.variants.iter().map(registers).collect::<Vec<_>>(),
        "max_age_s": policy.max_age.map(|limit| limit.as_secs()),
        "not_before_s": policy.not_before_s,
        "max_lifetime_s": policy.max_lifetime.map(|limit| limit.as_secs()),
    })
}

/// A ticket out of mosaik's own builder, mostly one that the policy admits, and mosaik's verdict.
fn ticket(dice: &mut Dice) -> Result<Value, Error> {
    let (policy, signing) = jwt(dice);
    let peer = SecretKey::from_bytes(&dice.id()).public();
    let network = dice.id();
    let signer = signing.into_iter().next().ok_or_else(|| Error::failed("no key"))?;
    let data = issue(dice, &policy, signer, &peer);
    let verdict = Validator::jwt(&policy)?.admits(peer.as_bytes(), &network, data.as_bytes())?;
    Ok(json!({
        "kind": "ticket",
        "validator": jwt_value(&policy),
        "peer_id": hex(peer.as_bytes()),
        "network": hex(&network),
        "ticket": data,
        "value": verdict,
    }))
}

fn issue(dice: &mut Dice, policy: &JwtPolicy, signer: SigningKey, peer: &PeerId) -> String {
    let fault = dice.below(10);
    let mut builder = JwtTicketBuilder::new(signer);
    if let Some(issuer) = policy.issuers.last().filter(|_| fault != 0) {
        builder = builder.issuer(issuer);
    }
    if let Some(audience) = policy.audiences.first().filter(|_| fault != 1) {
        builder = builder.audience(audience);
    }
    if let Some(subject) = policy.subject.as_ref().filter(|_| fault != 2) {
        builder = builder.subject(subject);
    }
    for (name, value) in policy.claims.iter().skip(usize::from(fault == 3)) {
        builder = builder.claim(name, value.clone());
    }
    let life = match fault {
        4 => None,
        5 => Some(-1),
        6 => Some(4),
        _ => Some(1),
    };
    if let Some(hours) = life {
        builder = builder.expires_in(mosaik::tickets::Duration::hours(hours));
    }
    String::from_utf8_lossy(builder.build(peer).data()).into_owned()
}
