//! The stores of shared states against servers that were not made for them: moto's S3, with and
//! without versions, and a Kubernetes API, each read by its official command line as well.

use std::sync::Arc;
use std::time::Duration;

use boxctl::model::port::{Expected, KeepError, Object, Objects, Put};
use boxctl::model::project::Timing;
use boxctl::model::secret::Secret;
use boxctl::providers::bucket::{Bucket, BucketObjects};
use boxctl::providers::cluster::Cluster;
use boxctl::providers::cluster_objects::ClusterObjects;
use boxctl::providers::{AwsSettings, Retry};
use serde_json::{Value, json};

use crate::homes::{Home, Kind, PROJECT, kubeconfig};
use crate::tools::{is_there, tool};

/// Objects in a place of a home, reached at a URL.
fn objects(home: &Home, place: &str, url: &str) -> (Arc<dyn Objects>, tempfile::NamedTempFile) {
    objects_as(home, place, url, ("x", "x"))
}

/// The same with this access key.
fn objects_as(
    home: &Home,
    place: &str,
    url: &str,
    key: (&str, &str),
) -> (Arc<dyn Objects>, tempfile::NamedTempFile) {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), kubeconfig(url)).unwrap();
    let timing =
        Timing { request_ms: 5_000, backoff_ms: 5, backoff_max_ms: 50, ..Timing::default() };
    let objects: Arc<dyn Objects> = match home.kind {
        Kind::Bucket => {
            let settings = AwsSettings {
                endpoint_url: url.to_owned(),
                region: "us-east-1".to_owned(),
                access_key_id: key.0.to_owned(),
                secret_access_key: Secret::new(key.1),
            };
            let bucket = Bucket {
                name: place.to_owned(),
                prefix: "team/".to_owned(),
                region: None,
                endpoint: None,
            };
            Arc::new(BucketObjects::new(bucket, Some(settings), Duration::from_secs(5)))
        }
        Kind::Cluster => {
            let path = file.path().to_path_buf();
            let cluster = Cluster::new(None, Some(path), Retry::from(timing));
            Arc::new(ClusterObjects::new(cluster, place.to_owned(), PROJECT))
        }
    };
    (objects, file)
}

fn wait<T>(doing: impl Future<Output = Result<T, KeepError>>) -> T {
    let mut runtime = tokio::runtime::Builder::new_current_thread();
    let runtime = runtime.enable_all().build().unwrap();
    runtime.block_on(doing).unwrap_or_else(|error| panic!("{error:?}"))
}

fn version(put: Put) -> Expected {
    match put {
        Put::Done(version) => Expected::Version(version),
        Put::Moved => panic!("refused"),
    }
}

/// What the store rests on, in the words of its port.
async fn conditions_hold(objects: &dyn Objects) -> Result<(), KeepError> {
    let name = "openhands.journal";
    assert_eq!(objects.read(name).await?, None);
    // Nothing is written over what is expected not to be there, or to be another version.
    let first = version(objects.put(name, b"1\n", &Expected::Absent).await?);
    assert_eq!(objects.put(name, b"2\n", &Expected::Absent).await?, Put::Moved);
    let second = version(objects.put(name, b"3\n", &first).await?);
    assert_eq!(objects.put(name, b"4\n", &first).await?, Put::Moved);
    assert_eq!(objects.put(name, b"5\n", &Expected::Absent).await?, Put::Moved);
    // What is read is what was written last, under the version that the write told.
    let Expected::Version(version_of_second) = second.clone() else { panic!() };
    let read = Object { content: b"3\n".to_vec(), version: version_of_second.clone() };
    assert_eq!(objects.read(name).await?, Some(read));
    // A removal says what it removes.
    let Expected::Version(stale) = &first else { panic!() };
    assert_eq!(objects.remove(name, stale).await?, Put::Moved);
    assert!(matches!(objects.remove(name, &version_of_second).await?, Put::Done(_)));
    assert!(matches!(objects.remove(name, &version_of_second).await?, Put::Done(_)));
    assert_eq!(objects.read(name).await?, None);
    // What is gone is not written over, and can be made anew.
    assert_eq!(objects.put(name, b"6\n", &second).await?, Put::Moved);
    version(objects.put(name, b"7\n", &Expected::Absent).await?);
    // Names come in order, those of other kinds of objects with them or not.
    let mut held = Expected::Absent;
    for content in ["{\"holder\":null}\n", "{\"holder\":\"me\"}\n"] {
        held = version(objects.put("openhands.lock", content.as_bytes(), &held).await?);
    }
    let lock = objects.read("openhands.lock").await?.unwrap();
    assert_eq!(lock.content, b"{\"holder\":\"me\"}\n");
    for name in ["history/openhands/10.json", "history/openhands/9.json", "Ünder_score.json"] {
        version(objects.put(name, b"{}\n", &Expected::Absent).await?);
    }
    let names = objects.list("history/openhands/").await?;
    assert_eq!(names, ["history/openhands/10.json", "history/openhands/9.json"]);
    let all = objects.list("").await?;
    for name in ["openhands.journal", "Ünder_score.json"] {
        assert!(all.iter().any(|one| one == name), "{all:?}");
    }
    Ok(())
}

#[test]
fn conditions_of_writes_hold_in_a_bucket_with_and_without_versions() {
    let Some(home) = Home::start(Kind::Bucket) else { return };
    for versioned in [false, true] {
        let place = home.place();
        if versioned {
            home.version(&place);
        }
        let (objects, _file) = objects(&home, &place, &home.url());
        wait(conditions_hold(objects.as_ref()));
        assert_eq!(objects.place("a.json"), format!("s3://{place}/team/a.json"));
    }
}

#[test]
fn conditions_of_writes_hold_in_a_cluster_and_kubectl_reads_what_is_there() {
    let Some(home) = Home::start(Kind::Cluster) else { return };
    let place = home.place();
    let (objects, _file) = objects(&home, &place, &home.url());
    wait(conditions_hold(objects.as_ref()));
    if !is_there("kubectl", &["version", "--client"]) {
        return;
    }
    let lab = home.lab().unwrap();
    // What a Role has to allow, in the words of the hint.
    let mut verbs = std::collections::BTreeSet::new();
    for request in lab.requests() {
        let path = request["path"].as_str().unwrap();
        let Some((_, path)) = path.split_once(&format!("/namespaces/{place}/")) else { continue };
        let (plural, name) = path.split_once('/').unwrap_or((path, ""));
        verbs.insert(format!(
            "{} {plural}{}",
            request["method"].as_str().unwrap(),
            if name.is_empty() { "" } else { "/" }
        ));
    }
    let wanted = [
        "DELETE secrets/",
        "GET leases/",
        "GET secrets",
        "GET secrets/",
        "POST leases",
        "POST secrets",
        "PUT leases/",
        "PUT secrets/",
    ];
    assert_eq!(verbs.iter().map(String::as_str).collect::<Vec<_>>(), wanted);
    let read = |what: &[&str]| tool(lab, "kubectl", &[&["-n", &place, "get"], what].concat());
    let table = read(&["secret,lease", "-l", "boxctl/project=lolice"]);
    for line in ["secret/boxctl.lolice.openhands.journal", "boxctl/state", "me"] {
        assert!(table.contains(line), "{table}");
    }
    let content = "jsonpath={.data.content\\.gz}";
    let text = read(&["secret", "boxctl.lolice.openhands.journal", "-o", content]);
    use base64::prelude::*;
    let packed = BASE64_STANDARD.decode(text).unwrap();
    let mut content = String::new();
    let mut unpacked = flate2::read::GzDecoder::new(packed.as_slice());
    std::io::Read::read_to_string(&mut unpacked, &mut content).unwrap();
    assert_eq!(content, "7\n");
    let lease: Value =
        serde_json::from_str(&read(&["lease", "boxctl.lolice.openhands.lock", "-o", "json"]))
            .unwrap();
    assert_eq!(lease["spec"]["holderIdentity"], "me");
}

#[test]
fn a_secret_takes_a_mebibyte_and_no_more() {
    let Some(home) = Home::start(Kind::Cluster) else { return };
    let place = home.place();
    if !is_there("kubectl", &["version", "--client"]) {
        return;
    }
    let lab = home.lab().unwrap();
    for (size, is_taken) in [(1 << 20, true), ((1 << 20) + 1, false)] {
        lab.write("content.gz", &"x".repeat(size));
        let name = format!("of-{size}");
        let mut command = lab.command_of("kubectl");
        command.args(["-n", &place, "create", "secret", "generic", &name]);
        let output = command.arg("--from-file=content.gz").output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.success(), is_taken, "{said}");
        assert_eq!(said.contains("Too long"), !is_taken, "{said}");
    }
}

/// What the README says that a store in a bucket needs.
fn policy(place: &str, prefix: &str) -> Value {
    json!({
        "Version": "2012-10-17",
        "Statement": [
            {"Effect": "Allow", "Action": "s3:ListBucket", "Resource": format!("arn:aws:s3:::{place}")},
            {
                "Effect": "Allow",
                "Action": ["s3:GetObject", "s3:PutObject", "s3:DeleteObject"],
                "Resource": format!("arn:aws:s3:::{place}/{prefix}/*"),
            },
        ],
    })
}

#[test]
fn the_least_policy_suffices_and_what_it_lacks_is_named() {
    let Some(home) = Home::start(Kind::Bucket) else { return };
    let url = home.url();
    let place = home.place();
    let user = |name: &str, prefix: &str| {
        let policy = policy(&place, prefix).to_string();
        home.iam(&[("Action", "CreateUser"), ("UserName", name)]);
        let put = [("Action", "PutUserPolicy"), ("PolicyName", "p"), ("UserName", name)];
        home.iam(&[&put[..], &[("PolicyDocument", &policy)]].concat());
        let made = home.iam(&[("Action", "CreateAccessKey"), ("UserName", name)]);
        let text = |name: &str| {
            let (_, rest) = made.split_once(&format!("<{name}>")).unwrap();
            rest.split_once("</").unwrap().0.to_owned()
        };
        (text("AccessKeyId"), text("SecretAccessKey"))
    };
    let (enough, elsewhere) = (user("enough", "team"), user("elsewhere", "other"));
    home.enforce_policies();
    let (objects, _file) = objects_as(&home, &place, &url, (&enough.0, &enough.1));
    wait(conditions_hold(objects.as_ref()));
    let (objects, _file) = objects_as(&home, &place, &url, (&elsewhere.0, &elsewhere.1));
    let error = fails(objects.put("a.json", b"x\n", &Expected::Absent));
    assert!(!error.is_passing && error.message.starts_with("AccessDenied"), "{error:?}");
    assert!(error.hint.is_some_and(|hint| hint.contains("s3:PutObject")));
    let (objects, _file) = objects_as(&home, &place, &url, (&enough.0, "another"));
    let error = fails(objects.read("a.json"));
    assert!(error.hint.as_ref().is_some_and(|hint| hint.contains("AWS_PROFILE")), "{error:?}");
}

fn fails<T: std::fmt::Debug>(doing: impl Future<Output = Result<T, KeepError>>) -> KeepError {
    let mut runtime = tokio::runtime::Builder::new_current_thread();
    runtime.enable_all().build().unwrap().block_on(doing).unwrap_err()
}

#[test]
fn what_is_missing_around_the_objects_is_said() {
    for (kind, hint) in
        [(Kind::Bucket, "make the bucket"), (Kind::Cluster, "kubectl create namespace")]
    {
        let Some(home) = Home::start(kind) else { continue };
        let (objects, _file) = objects(&home, "not-there", &home.url());
        let error = fails(objects.put("a.json", b"x\n", &Expected::Absent));
        assert!(!error.is_passing, "{error:?}");
        assert!(error.hint.as_ref().is_some_and(|text| text.contains(hint)), "{error:?}");
    }
}
