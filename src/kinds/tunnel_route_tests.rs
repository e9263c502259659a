use super::*;
use crate::kinds::testing::{
    Step, bodies, declare, example, facts, line, ok, problems, read, refusal, scope,
};
use crate::model::kind::Verb;

const EXAMPLE: &str = include_str!("../../tests/contract/tunnel_route.json");
const DEFAULT: &str = "9f322de4-5988-4945-b770-f1d6ac200f86";
const ROUTES: &str = "/accounts/acc/teamnet/routes";

fn with_networks() -> Scope {
    let network = |id: &str, name: &str, is_default| VirtualNetwork {
        id: id.to_owned(),
        name: name.to_owned(),
        is_default,
    };
    let networks = vec![network("n2", "lab", false), network(DEFAULT, "default", true)];
    Scope { virtual_networks: Some(networks), ..scope() }
}

fn declared(spec: Json) -> Result<Json, Problem> {
    TunnelRoute.declare(&spec, &with_networks())
}

#[test]
fn the_example_of_the_contract_is_read() {
    let remote = read(&TunnelRoute, &example(EXAMPLE));
    let tunnel = "5ca1ab1e-a4ef-4643-bbbc-4a0ed4fc8415";
    let spec = declared(json!({"network": "192.168.10.98", "tunnel": tunnel})).unwrap();
    assert!(TunnelRoute.fits(&spec, &remote));
    let diffed = TunnelRoute.diff(&facts(Some(&spec), None, &remote, &[]));
    assert_eq!(diffed, Diffed::default());
    let mut gone = example(EXAMPLE);
    gone["deleted_at"] = json!("2021-01-25T18:22:34Z");
    assert!(TunnelRoute.read(&gone, &scope()).is_empty());
    // Comments are left out by some answers (contract 8).
    let mut bare = example(EXAMPLE);
    bare["comment"] = Json::Null;
    assert_eq!(read(&TunnelRoute, &bare).spec, remote.spec);
}

#[test]
fn subnets_have_one_spelling() {
    for (written, canonical) in [
        ("192.168.10.98/24", Some("192.168.10.0/24")),
        ("10.0.0.1", Some("10.0.0.1/32")),
        ("FD00:0:0::1/64", Some("fd00::/64")),
        ("fd00::1", Some("fd00::1/128")),
        ("0.0.0.0/0", Some("0.0.0.0/0")),
        ("::/0", Some("::/0")),
        ("10.0.0.0/33", None),
        ("10.0.0.0/", None),
        ("10.0.0/8", None),
        ("lan", None),
    ] {
        assert_eq!(subnet(written).as_deref(), canonical, "{written}");
    }
    assert_eq!(problems(&TunnelRoute, json!({"network": "10.0.0/8"})), ["network"]);
}

#[test]
fn a_route_belongs_to_the_default_network_unless_another_is_named() {
    let of = |spec| declared(spec).map(|spec| spec["virtual_network"].clone());
    assert_eq!(of(json!({"network": "10.0.0.0/8"})), Ok(json!(DEFAULT)));
    for said in ["lab", "n2"] {
        let spec = json!({"network": "10.0.0.0/8", "virtual_network": said});
        assert_eq!(of(spec), Ok(json!("n2")));
    }
    let unknown = of(json!({"network": "10.0.0.0/8", "virtual_network": "x"})).unwrap_err();
    assert_eq!(unknown.hint.as_deref(), Some("there are lab, default"));
    // Before the network, a name is all that is known.
    let spec = json!({"network": "10.0.0.0/8", "virtual_network": "lab"});
    assert_eq!(declare(&TunnelRoute, spec.clone()), spec);
}

#[test]
fn equal_subnets_of_other_networks_are_other_routes() {
    let remote = read(&TunnelRoute, &example(EXAMPLE));
    let fits = |spec: Json| TunnelRoute.fits(&declared(spec).unwrap(), &remote);
    assert!(fits(json!({"network": "192.168.10.98/32"})));
    assert!(!fits(json!({"network": "192.168.10.98/31"})));
    assert!(!fits(json!({"network": "192.168.10.98/32", "virtual_network": "lab"})));
}

#[test]
fn a_route_is_made_and_found_again_by_what_makes_it_unique() {
    let spec = declared(json!({"network": "192.168.10.98", "tunnel": "t", "comment": "nas"}));
    let step = Step::new(&TunnelRoute, Verb::Create, spec.unwrap(), None);
    let (calls, end) = step.run(&[ok(example(EXAMPLE))]);
    assert_eq!(line(&calls[0]), format!("POST {ROUTES}"));
    let sent = json!({"network": "192.168.10.98/32", "tunnel_id": "t", "comment": "nas",
        "virtual_network_id": DEFAULT});
    assert_eq!(bodies(&calls)[0], sent);
    let key = json!({"network": "192.168.10.98/32", "virtual_network_id": DEFAULT});
    assert_eq!(Json::Object(calls[0].key.clone()), key);
    assert!(end.unwrap().is_some());
}

#[test]
fn only_what_differs_is_patched_and_nothing_where_nothing_does() {
    let mut item = example(EXAMPLE);
    item["comment"] = json!("old");
    let remote = read(&TunnelRoute, &item);
    let path = format!("PATCH {ROUTES}/{}", remote.id);
    let mut spec = remote.spec.clone();
    spec.as_object_mut().unwrap().shift_remove("comment");
    let mut step = Step::new(&TunnelRoute, Verb::Update, spec.clone(), Some(remote.clone()));
    let (calls, end) = step.run(&[]);
    assert_eq!((calls.len(), end), (0, Ok(Some(remote))));
    step.removed = vec!["comment".to_owned()];
    let (calls, _) = step.run(&[ok(item.clone())]);
    assert_eq!((line(&calls[0]), bodies(&calls)[0].clone()), (path, json!({"comment": ""})));
    step.removed = Vec::new();
    step.spec["network"] = json!("10.0.0.0/8");
    let (calls, _) = step.run(&[ok(item)]);
    assert_eq!(bodies(&calls)[0], json!({"network": "10.0.0.0/8"}));
}

#[test]
fn a_route_that_went_with_its_tunnel_is_gone() {
    let remote = read(&TunnelRoute, &example(EXAMPLE));
    let step = Step::new(&TunnelRoute, Verb::Delete, remote.spec.clone(), Some(remote));
    let (calls, end) = step.run(&[refusal(404, "1015")]);
    assert_eq!(line(&calls[0]), format!("DELETE {ROUTES}/f70ff985-a4ef-4643-bbbc-4a0ed4fc8415"));
    assert_eq!(end, Ok(None));
}
