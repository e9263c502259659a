//! A drift job that is left on stays quiet: over a stack in which nothing happens, however the
//! services word and order their answers, and while an apply is at work.

use boxctl::run::look::Looked;
use serde_json::{Value, json};

use super::forms::How;
use super::rules::Forms;
use super::world::World;
use super::{default_network, said};

/// Looks at a stack in which nothing happens, in the forms that the contract knows and in others.
const LOOKS: usize = 100;
/// Applies with looks beside them.
const APPLIES: usize = 10;

/// A stack with a resource of each kind; `round` is what an apply changes.
fn resources(round: usize) -> Value {
    json!({
        "tunnel.t": {"name": format!("tunnel {round}")},
        "tunnel_config.t": {"tunnel": "${tunnel.t.id}", "ingress": [
            {"hostname": "a.b0xp.io", "service": format!("http://a:{}", 8000 + round)},
            {"hostname": "b.b0xp.io", "service": "http://b:80"}]},
        "tunnel_route.r": {"network": "10.0.0.0/8", "tunnel": "${tunnel.t.id}",
            "comment": format!("round {round}")},
        "hostname_route.h": {"hostname": "nas.lan", "tunnel": "${tunnel.t.id}"},
        "dns_record.a": {"name": "a.b0xp.io", "type": "CNAME", "content": "${tunnel.t.cname}", "proxied": true,
            "comment": format!("round {round}")},
        "dns_record.b": {"name": "b.b0xp.io", "type": "CNAME", "content": "${tunnel.t.cname}", "proxied": true},
        "dns_record.mx": {"name": "b0xp.io", "zone": "b0xp.io", "type": "MX",
            "content": "mail.b0xp.io", "priority": 10},
        "access_group.g": {"name": "staff", "include": [
            {"email_domain": "example.org"}, {"email": format!("n{round}@example.com")}]},
        "access_policy.p": {"name": "staff only", "decision": "allow",
            "include": [{"group": "${access_group.g.id}"}], "session_duration": format!("{}h", round + 1)},
        "access_application.a": {"name": "a", "domain": "a.b0xp.io",
            "policies": ["${access_policy.p.id}"], "tags": ["gamma", "alpha"],
            "session_duration": format!("{}h", round + 1)},
        "access_application.b": {"name": "b", "domain": "b.b0xp.io"},
        "access_application_policy.b": {"application": "${access_application.b.id}", "name": "own",
            "decision": "allow", "include": [{"email": format!("n{round}@example.com")}]},
        "service_token.s": {"name": "machine"},
        "ssm_parameter.token": {"name": "/t/token", "value": "${tunnel.t.token}"},
        "ssm_parameter.plain": {"name": "plain", "type": "String", "value": format!("v{round}"),
            "tags": {"a": "b"}},
        "cloudflare_object.kv": {"path": "accounts/{account_id}/storage/kv/namespaces",
            "key": "title", "body": {"title": "visits"}},
    })
}

#[track_caller]
fn is_quiet(looked: &Looked, when: &str) {
    for found in &looked.found {
        assert!(found.drift.is_empty(), "{when}: {:#?}", found.drift);
        assert!(found.checks.is_empty(), "{when}: {:#?}", found.checks);
        assert!(found.pending.is_empty(), "{when}: {:#?}", found.pending);
    }
}

async fn soak(seed: u64, mangle: Option<u64>) {
    let mut world = World::new(mangle).await;
    let network = default_network(&world);
    world.write(resources(0).as_object().unwrap());
    let plan = world.run(true, false).await;
    assert_eq!(plan.refusals().count(), 0, "{:#?}", plan.checks);
    let job = world.job();
    for at in 0..LOOKS {
        let how = if at % 2 == 0 { How::Some } else { How::All };
        world.answer_in(Some(Forms::new(seed.wrapping_add(at as u64), how, &network)));
        let looked = job.look().await;
        is_quiet(&looked, &format!("look {at}, PROPTEST_RNG_SEED={seed}"));
        assert!(looked.holders.is_empty() && looked.under_way.is_empty());
    }
    let (mut beside, mut seen) = (0, 0);
    for round in 1..=APPLIES {
        world.write(resources(round).as_object().unwrap());
        let job = world.job();
        let done = std::cell::Cell::new(false);
        let apply = async {
            let plan = world.run(true, false).await;
            done.set(true);
            plan
        };
        let looks = async {
            while !done.get() {
                let looked = job.look().await;
                for found in &looked.found {
                    let when = format!("apply {round}, PROPTEST_RNG_SEED={seed}");
                    assert!(found.drift.is_empty(), "{when}: {:#?}", found.drift);
                }
                beside += usize::from(!looked.holders.is_empty());
                seen += usize::from(!looked.under_way.is_empty());
            }
        };
        let (plan, ()) = tokio::join!(apply, looks);
        assert!(plan.changes.len() > 5, "{:#?}", plan.changes);
        is_quiet(&job.look().await, &format!("after apply {round}"));
    }
    assert!(beside >= APPLIES && seen > 0, "{beside} looks beside applies, {seen} saw their work");
}

#[test]
fn a_job_that_is_left_on_is_quiet() {
    // These run in one process, without moto.
    if crate::kill::is_moto() {
        return;
    }
    let seed = said("PROPTEST_RNG_SEED").unwrap_or_else(rand::random);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    for mangle in [None, Some(seed)] {
        runtime.block_on(soak(seed, mangle));
    }
}
