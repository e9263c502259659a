use super::github::workflow;
use super::kubernetes::{Grant, InCluster, manifests};
use super::systemd::{OnMachine, service, timer};
use super::*;

fn job() -> Job {
    Job {
        project: "home".into(),
        dir: "infra/cluster".into(),
        schedule: "17 6 * * *".into(),
        time_zone: Some("Asia/Tokyo".into()),
        cloudflare: vec!["DNS Read (zone)".into(), "Cloudflare Tunnel Read (account)".into()],
        aws: vec!["ssm:DescribeParameters".into()],
        cluster: true,
        aws_region: Some("ap-northeast-1".into()),
        notifies: true,
        environment: vec!["SLACK_WEBHOOK_URL".into(), "STATE_KEY".into()],
    }
}

fn in_cluster() -> InCluster {
    let grant = |namespace: Option<&str>, group: &str, plural: &str, names: &[&str]| Grant {
        namespace: namespace.map(str::to_owned),
        group: group.into(),
        plural: plural.into(),
        names: names.iter().map(|name| (*name).to_owned()).collect(),
        verbs: if names.is_empty() { &["get", "list"] } else { &["get"] },
    };
    InCluster {
        namespace: "boxctl".into(),
        image: "registry.example.org/boxctl:0.1.0".into(),
        git_image: "docker.io/alpine/git:v2.49.1".into(),
        repository: "https://github.com/me/home.git".into(),
        branch: None,
        contexts: vec!["home".into()],
        grants: vec![
            grant(Some("app"), "apps", "deployments", &[]),
            grant(Some("app"), "", "secrets", &["app"]),
            grant(None, "", "namespaces", &["kube-system"]),
        ],
    }
}

#[test]
fn the_files_are_for_people_to_read() {
    insta::assert_snapshot!("kubernetes", manifests(&job(), &in_cluster()));
    insta::assert_snapshot!("github", workflow(&job(), "ghcr.io/me/boxctl:0.1.0"));
    let machine = OnMachine {
        program: "/usr/local/bin/boxctl".into(),
        project: "/srv/my home/cluster".into(),
        user: "me".into(),
        memory: Some("/srv/my home/cluster/state".into()),
    };
    insta::assert_snapshot!(
        "systemd",
        format!("{}\n-- timer\n{}", service(&job(), &machine), timer(&job()))
    );
}

#[test]
fn a_workflow_has_at_most_forty_lines() {
    let longest = workflow(&job(), "ghcr.io/me/boxctl:0.1.0");
    assert!(longest.lines().count() <= 40, "{} lines", longest.lines().count());
}

#[test]
fn whatever_a_project_is_called_it_ends_no_line() {
    let odd = Job {
        project: "a'\n\"b: %h $(x) `y`".into(),
        dir: "it's $(here)/\"there\"".into(),
        ..job()
    };
    assert_eq!(odd.name(), "boxctl-drift-a---b---h---x---y");
    for text in [manifests(&odd, &in_cluster()), workflow(&odd, "image")] {
        for document in text.split("---\n") {
            let read: Result<Json, _> = serde_saphyr::from_str(document);
            assert!(read.is_ok(), "{document}\n{read:?}");
        }
    }
    let unit = service(&odd, &OnMachine { program: "/a b".into(), ..OnMachine::default() });
    assert!(unit.contains("ExecStart=\"/a b\" --project \"\" drift --notify\n"), "{unit}");
    assert!(unit.contains("%%h"), "{unit}");
}
