//! Servers and proxies that repeat what they were asked: none of it shows.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use base64::prelude::*;
use serde_json::{Value, json};

use crate::lab::{Lab, Ran};
use crate::recorder::{Answer, Asked, Recorder};

/// Ways in which an answer repeats its request: 1 to 4 of what changes something, 5 of every
/// request, 6 of previews.
const WAYS: usize = 7;

fn is_reading(asked: &Asked<'_>) -> bool {
    let reads = ["DescribeParameters", "ListTagsForResource"];
    asked.method == "GET"
        || reads.iter().any(|name| asked.headers.contains(name))
        || asked.body.contains("GetCallerIdentity")
}

fn repeat(way: usize, asked: &Asked<'_>) -> Option<Answer> {
    let preview = asked.query.contains("dryRun");
    let meant = match way {
        0 => false,
        5 => true,
        6 => preview,
        _ => !preview && !is_reading(asked),
    };
    if !meant {
        return None;
    }
    // As it came, and its leaf also as base64, as the Kubernetes API shows data.
    let said = format!("{} {}\n{}\n{}", asked.method, asked.path, asked.headers, asked.body);
    let body: Value = serde_json::from_str(asked.body).unwrap_or_default();
    let leaf = body["Value"].as_str().or(body["stringData"]["key"].as_str()).unwrap_or_default();
    let said = format!("{said}\n{}", BASE64_STANDARD.encode(leaf));
    let json = |status, body: Value| {
        let kind = vec![("content-type".to_owned(), "application/json".to_owned())];
        Some((status, kind, body.to_string()))
    };
    let kubernetes = !asked.path.starts_with("/client/v4") && asked.path != "/";
    match way {
        1 | 6 if kubernetes => json(
            422,
            json!({"kind": "Status", "apiVersion": "v1", "status": "Failure", "reason": "Invalid",
                "message": said, "code": 422, "details": {"causes": [{"message": said, "field": "x"}]}}),
        ),
        1 if asked.path == "/" => {
            json(400, json!({"__type": "ValidationException", "message": said}))
        }
        1 => json(
            400,
            json!({"success": false, "messages": [], "result": null,
                "errors": [{"code": 12130, "message": said}]}),
        ),
        // AWS itself repeats the headers of a request whose signature is wrong.
        2 if asked.path == "/" => {
            let text = format!(
                "The request signature we calculated does not match the signature you provided. \
                 Check your AWS Secret Access Key and signing method.\n\nThe Canonical String for \
                 this request should have been\n'POST\n/\n\n{}\n'",
                asked.headers
            );
            json(403, json!({"__type": "InvalidSignatureException", "message": text}))
        }
        2 => Some((502, Vec::new(), format!("<html>{said}</html>"))),
        3 => Some((200, Vec::new(), said)),
        4 => json(200, json!({"result": said, "success": true, "errors": [], "said": [said]})),
        _ => Some((400, Vec::new(), said)),
    }
}

#[test]
fn what_a_server_repeats_of_a_request_is_shown_nowhere() {
    let mut lab = Lab::hasty("openhands", &[]);
    let way = Arc::new(AtomicUsize::new(0));
    let chosen = Arc::clone(&way);
    let recorder = Recorder::instead(lab.variable("CLOUDFLARE_BASE_URL"), move |asked| {
        repeat(chosen.load(Ordering::SeqCst), asked)
    });
    let (ours, theirs) = (
        recorder.url().trim_end_matches("/client/v4").to_owned(),
        lab.variable("CLOUDFLARE_BASE_URL").trim_end_matches("/client/v4").to_owned(),
    );
    let kubeconfig = std::fs::read_to_string(lab.variable("KUBECONFIG")).unwrap();
    let kubernetes_token = "sandbox-admin-0123456789abcdef";
    let kubeconfig = kubeconfig.replace(&theirs, &ours);
    lab.write(
        "kubeconfig",
        &kubeconfig.replace("token: sandbox-admin", &format!("token: {kubernetes_token}")),
    );
    let path = lab.path().join("kubeconfig").to_str().unwrap().to_owned();
    lab.set("KUBECONFIG", &path);
    lab.set("CLOUDFLARE_BASE_URL", recorder.url());
    lab.set("AWS_ENDPOINT_URL", &ours);
    let session = "IQoJb3JpZ2luX2VjEXAMPLESESSIONTOKEN";
    lab.set("AWS_SESSION_TOKEN", session);
    lab.set("RUST_BACKTRACE", "1");

    lab.edit(
        "stacks/openhands.yaml",
        "variables:\n",
        "variables:\n  password: {sensitive: true}\n",
    );
    let more = "\nresources:\n  ssm_parameter.password: {name: /app/password, value: \"p:${var.password}\"}\n";
    lab.write("stacks/openhands.yaml", &(lab.read("stacks/openhands.yaml") + more));
    let manifest = |value: &str| {
        format!(
            "apiVersion: v1\nkind: Secret\nmetadata: {{name: app, namespace: openhands}}\n\
             stringData: {{key: {value}}}\ndata: {{more: {}}}\n",
            BASE64_STANDARD.encode(format!("data-of-{value}"))
        )
    };
    let tunnels = |lab: &Lab| lab.only(&lab.account("cfd_tunnel?is_deleted=false"));
    let mut ran: Vec<Ran> = Vec::new();
    let mut secrets: Vec<String> = vec![
        lab.variable("CLOUDFLARE_API_TOKEN").to_owned(),
        lab.variable("AWS_SECRET_ACCESS_KEY").to_owned(),
        session.to_owned(),
        kubernetes_token.to_owned(),
    ];
    lab.write("manifests/socket/secret.yaml", &manifest("first-secret-value"));
    lab.apply(&["--var", "password=first password"]);
    for next in 1..WAYS {
        let password = format!("correct horse {next} ünd+more");
        let value = format!("plain-secret-value-{next}");
        lab.write("manifests/socket/secret.yaml", &manifest(&value));
        secrets.extend([
            password.clone(),
            format!("p:{password}"),
            value.clone(),
            format!("data-of-{value}"),
        ]);
        // The tunnel has to be made again, which sends a secret; with it its token.
        let tunnel = tunnels(&lab);
        let id = tunnel["id"].as_str().unwrap();
        let token = lab.cloudflare("GET", &lab.account(&format!("cfd_tunnel/{id}/token")), None);
        secrets.push(token.as_str().unwrap().to_owned());
        lab.cloudflare("DELETE", &lab.account(&format!("cfd_tunnel/{id}?cascade=true")), None);
        let variable = format!("password={password}");
        way.store(next, Ordering::SeqCst);
        for arguments in [
            &["plan", "-vvv"][..],
            &["apply", "--yes", "--no-wait", "-vvv"],
            &["apply", "--yes", "--no-wait", "--json"],
            &["drift", "-vv"],
        ] {
            let given: &[&str] = if arguments[0] == "drift" { &[] } else { &["--var", &variable] };
            // Each to files of its own, so that all are there to be searched.
            let files = ["html", "md"].map(|end| format!("{next}-{}.{end}", ran.len()));
            let reports = ["--annotations", "github", "--html", &files[0], "--markdown", &files[1]];
            ran.push(lab.run(&[arguments, given, &reports].concat()));
        }
        way.store(0, Ordering::SeqCst);
        ran.push(lab.run(&["apply", "--yes", "--var", &variable]).exits(0));
    }
    // The secrets that boxctl made and sent.
    for said in recorder.heard() {
        let body = said.sent.unwrap_or_default();
        secrets.extend(body["tunnel_secret"].as_str().map(str::to_owned));
        secrets.extend(body["Value"].as_str().filter(|text| text.len() > 40).map(str::to_owned));
    }
    assert!(secrets.len() > 20);
    assert!(ran.iter().any(|ran| ran.err.contains("12130")), "the answers were read");
    crate::secrets::are_nowhere(
        &lab,
        &ran,
        &secrets,
        &["manifests/socket/secret.yaml", "kubeconfig"],
    );
}
