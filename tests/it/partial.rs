//! Runs that come through in part.

use crate::lab::Lab;

/// What Cloudflare answers when it does not accept a token (contract 1.6).
const DENIED: &str = "status: 403, body: {success: false, result: null, messages: [], \
    errors: [{code: 10000, message: Authentication error}]}";

fn lab(rule: &str) -> Lab {
    let mut lab = Lab::hasty("openhands", &[]);
    lab.write("faults.yaml", &format!("- {{{rule}, {DENIED}}}\n"));
    lab.restart(&["--faults", "faults.yaml"]);
    lab
}

#[test]
fn a_403_of_access_is_told_and_waited_out() {
    let lab = lab("method: POST, path: '*/access/apps', times: 2");
    let ran = lab.apply(&[]);
    let line = "Cloudflare POST /accounts/0123456789abcdef0123456789abcdef/access/apps answered \
                403: Access refuses valid tokens too while it is busy; again in";
    assert_eq!(ran.err.matches(line).count(), 2, "{}", ran.err);
    lab.is_settled(&[]);
}

#[test]
fn independent_branches_go_on_and_the_next_run_does_exactly_the_rest() {
    let mut lab = lab("mutating: true, path: '*/access/*', times: 999");
    let ran = lab.run(&["apply", "--yes"]).exits(3);
    for line in [
        "openhands: 11 created, 0 updated, 0 deleted, 1 failed, 3 not begun",
        "failed   access_policy.openhands: Cloudflare POST",
        "waiting  access_application.openhands, for access_policy.openhands",
        "waiting  dns_record.openhands, for access_application.openhands",
        "Next: the same command again does what is left: 1 that failed, 3 not begun.",
    ] {
        assert!(ran.err.contains(line), "{line}\n{}", ran.err);
    }
    // Nothing is reachable without its guard.
    assert!(lab.cloudflare("GET", &lab.records(), None).as_array().unwrap().is_empty());
    let plan = lab.run(&["plan"]).exits(0);
    assert!(plan.out.contains("Plan: 4 to create, 0 to update, 0 to delete"), "{}", plan.out);

    lab.restart(&[]);
    lab.forget_requests();
    lab.apply(&[]);
    let rest = ["/access/policies", "/access/apps", "/configurations", "/dns_records"];
    let changes = lab.changes();
    assert!(changes.iter().all(|c| rest.iter().any(|path| c.contains(path))), "{changes:#?}");
    lab.is_settled(&[]);
}

#[test]
fn what_an_unavailable_cluster_did_all_the_same_is_looked_up() {
    let mut lab = Lab::hasty("openhands", &[]);
    lab.edit("boxctl.yaml", "{request: 600ms", "{request: 600ms, step: 200ms");
    let rule = "method: PATCH, path: '*/services/*', times: 999, status: 503, effect: true, \
                body: '<html>no backend</html>'";
    lab.write("faults.yaml", &format!("- {{{rule}}}\n"));
    lab.restart(&["--faults", "faults.yaml"]);
    lab.apply(&[]);
    lab.restart(&[]);
    lab.is_settled(&[]);
}

#[test]
fn a_success_that_says_nothing_is_looked_up() {
    let creates = ["*/cfd_tunnel", "*/access/policies", "*/access/apps", "*/dns_records"];
    let nothing = [
        "''",
        "{}",
        "{success: true, errors: [], messages: [], result: null}",
        "{success: true, errors: [], messages: [], result: {}}",
    ];
    for (path, body) in creates.iter().zip(nothing) {
        let mut lab = Lab::hasty("openhands", &[]);
        let rule = format!("method: POST, path: '{path}', status: 200, effect: true, body: {body}");
        lab.write("faults.yaml", &format!("- {{{rule}}}\n"));
        lab.restart(&["--faults", "faults.yaml"]);
        lab.apply(&[]);
        lab.is_settled(&[]);
        let made = lab
            .changes()
            .iter()
            .filter(|c| c.starts_with("POST") && c.ends_with(&path[1..]))
            .count();
        assert_eq!(made, 1, "{path} {body}: {:?}", lab.changes());
    }
}
