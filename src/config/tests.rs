//! Whole projects, loaded.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};

use super::*;
use crate::model::resource::VariableSource;

/// Files in memory.
#[derive(Default)]
pub(super) struct Table(BTreeMap<PathBuf, String>);

impl Table {
    pub(super) fn of(files: &[(&str, &str)]) -> Table {
        let dir = Path::new("/project");
        Table(files.iter().map(|(path, text)| (dir.join(path), (*text).to_owned())).collect())
    }

    pub(super) fn load(&self, inputs: &Inputs) -> Result<Loaded, Vec<Report>> {
        load(Path::new("/project"), self, inputs)
    }
}

impl Files for Table {
    fn read(&self, path: &Path) -> io::Result<String> {
        self.0.get(path).cloned().ok_or_else(|| io::ErrorKind::NotFound.into())
    }

    fn is_dir(&self, path: &Path) -> bool {
        self.0.keys().any(|file| file.starts_with(path) && file != path)
    }

    fn list(&self, dir: &Path) -> io::Result<Vec<PathBuf>> {
        let mut found: Vec<PathBuf> = self
            .0
            .keys()
            .filter_map(|file| file.strip_prefix(dir).ok()?.components().next())
            .map(|part| dir.join(part))
            .collect();
        found.dedup();
        Ok(found)
    }

    fn run(&self, command: &Command<'_>) -> Result<CommandOutput, CommandError> {
        let stderr = match command.argv {
            [fails, how] if fails == "fail" => {
                let stderr = format!("first\n\n{how} at {}\n", command.dir.display());
                return Err(CommandError::Failed { status: "exit status 3".to_owned(), stderr });
            }
            [sleep] if sleep == "sleep" => {
                let limit = command.limit;
                return Err(CommandError::TooSlow { limit, stderr: String::new() });
            }
            [tool] if tool == "no-tool" => return Err(CommandError::NoProgram(tool.clone())),
            [silent] if silent == "silent" => return Ok(CommandOutput::default()),
            [warn] if warn == "warn" => "a is deprecated\n".to_owned(),
            _ => String::new(),
        };
        let stdout = format!(
            "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: {}\n  namespace: a\n",
            command.argv.join("-")
        );
        Ok(CommandOutput { stdout, stderr })
    }
}

pub(super) const PROJECT: &str = "project: p\ncloudflare: {account_id: 0123456789abcdef0123456789abcdef, zones: [b0xp.io, example.org]}\n";

pub(super) fn one(stack: &str) -> Table {
    Table::of(&[("boxctl.yaml", PROJECT), ("stacks/s.yaml", stack)])
}

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures").join(name)
}

fn loaded(name: &str, inputs: &Inputs) -> Loaded {
    load(&fixture(name), &Disk, inputs).unwrap_or_else(|reports| panic!("{}", shown(&reports)))
}

pub(super) fn shown(reports: &[Report]) -> String {
    let mut out = String::new();
    for report in reports {
        let place = report.location.as_ref().map(ToString::to_string).unwrap_or_default();
        out.push_str(&format!("{place}: {} {:?}\n", report.message, report.hints));
    }
    out
}

pub(super) fn addresses(stack: &Stack) -> Vec<String> {
    stack.resources.iter().map(|resource| resource.address.to_string()).collect()
}

#[test]
fn the_example_stands_for_the_users_stack() {
    let socket = loaded("openhands", &Inputs::default());
    assert_eq!(
        addresses(&socket.stacks[0]),
        [
            "tunnel.openhands",
            "tunnel_config.openhands",
            "dns_record.openhands",
            "access_policy.openhands",
            "access_application.openhands",
            "ssm_parameter.openhands",
            "k8s.Application.argoproj.io/argocd/openhands",
            "k8s.Deployment/openhands/cloudflared",
            "k8s.Deployment/openhands/openhands",
            "k8s.ExternalSecret.external-secrets.io/openhands/external-secret",
            "k8s.Namespace/openhands",
            "k8s.PriorityClass/openhands-priority",
            "k8s.PersistentVolumeClaim/openhands/openhands-state-pvc",
            "k8s.PersistentVolumeClaim/openhands/openhands-data",
            "k8s.Service/openhands/openhands-service",
        ]
    );
    let variable = &socket.stacks[0].variables["runtime"];
    assert_eq!((variable.value.as_str(), variable.source), ("socket", VariableSource::Default));
    assert!(socket.reports.is_empty(), "{}", shown(&socket.reports));
    let inputs = Inputs { vars: vec![("runtime".into(), "dind".into())], ..Inputs::default() };
    let dind = loaded("openhands", &inputs);
    let more: Vec<String> = addresses(&dind.stacks[0])
        .into_iter()
        .filter(|address| !addresses(&socket.stacks[0]).contains(address))
        .collect();
    assert_eq!(
        more,
        [
            "k8s.CronJob/openhands/docker-cleanup",
            "k8s.ExternalSecret.external-secrets.io/openhands/parameter-reader-credentials",
            "k8s.ServiceAccount/openhands/docker-cleanup-sa",
            "k8s.Role/openhands/pod-exec-role",
            "k8s.RoleBinding/openhands/pod-exec-rolebinding",
        ]
    );
}

#[test]
fn every_fixture_loads_and_its_expansion_loads_to_the_same() {
    for name in ["openhands", "longform", "several", "volumes", "connector"] {
        let first = loaded(name, &Inputs::default());
        let project = std::fs::read_to_string(fixture(name).join("boxctl.yaml")).unwrap();
        for stack in &first.stacks {
            let text = expanded_yaml(stack);
            let project =
                project.lines().filter(|line| !line.contains("shop:") && *line != "values:");
            let project = project.collect::<Vec<_>>().join("\n");
            let file = format!("stacks/{}.yaml", stack.name);
            let table = Table::of(&[("boxctl.yaml", &project), (&file, &text)]);
            let again = table
                .load(&Inputs::default())
                .unwrap_or_else(|reports| panic!("{name}: {}\n{text}", shown(&reports)));
            let strip = |stack: &Stack| -> Vec<_> {
                stack
                    .resources
                    .iter()
                    .map(|r| (r.address.clone(), r.spec.clone(), r.meta.clone()))
                    .collect()
            };
            assert_eq!(strip(stack), strip(&again.stacks[0]), "{name}\n{text}");
        }
    }
}

#[test]
fn routes_share_what_one_hostname_has() {
    let project = loaded("several", &Inputs::default());
    let shop = project.stacks.iter().find(|stack| stack.name == "shop").unwrap();
    let cloudflare: Vec<String> =
        addresses(shop).into_iter().filter(|address| !address.starts_with("k8s.")).collect();
    assert_eq!(
        cloudflare,
        [
            "tunnel.shop",
            "tunnel_config.shop",
            "dns_record.shop-shop",
            "access_policy.shop-shop",
            "access_application.shop-shop",
            "dns_record.shop-api-shop",
            "access_policy.shop-api-shop",
            "access_application.shop-api-shop",
            "dns_record.shop-hooks",
            "ssm_parameter.shop",
        ]
    );
    assert!(shop.public.contains("hooks.b0xp.io"));
    let deployment = shop.resource(&Address::new("k8s", "Deployment/apps/shop")).unwrap();
    assert_eq!(deployment.spec["spec"]["replicas"], 2);
    assert_eq!(deployment.meta.timeout_s, Some(600));
}

#[test]
fn the_mistakes_are_told_together() {
    let reports = load(&fixture("mistakes"), &Disk, &Inputs::default()).unwrap_err();
    let told: Vec<(String, usize, usize, String)> = reports
        .iter()
        .filter_map(|r| {
            let at = r.location.clone()?;
            Some((at.file, at.line, at.column, r.message.clone()))
        })
        .collect();
    let expected = [
        ("manifests/deployment.yaml", 1, 1, "this Deployment has no `apiVersion`"),
        ("stacks/a-service.yaml", 3, 5, "unknown key `hostnme`"),
        ("stacks/a-service.yaml", 7, 15, "bad hostname `b..b0xp.io`"),
        ("stacks/a-service.yaml", 10, 3, "`access` is missing for c.b0xp.io"),
        ("stacks/b-resources.yaml", 7, 14, "there is no resource or lookup `tunnel.on`"),
        ("stacks/b-resources.yaml", 8, 14, "`proxied` is to be true or false, not a list"),
        ("stacks/b-resources.yaml", 10, 11, "these need each other: access_policy.x"),
        ("stacks/b-resources.yaml", 19, 5, "the key `name` stands here twice"),
        ("stacks/c-manifests.yaml", 3, 5, "there is no manifest manifests/no-such-file.yaml"),
        ("stacks/d-yaml.yaml", 2, 21, "this is not YAML"),
        ("stacks/f-hostname.yaml", 3, 15, "same.b0xp.io"),
    ];
    for (file, line, column, message) in expected {
        assert!(
            told.iter().any(|(f, l, c, m)| {
                f == file && *l == line && *c == column && m.contains(message)
            }),
            "{file}:{line}:{column} {message}\n{}",
            shown(&reports)
        );
    }
    assert_eq!(told.len(), expected.len(), "{}", shown(&reports));
    assert!(reports.iter().all(|report| report.location.is_none() || report.source_line.is_some()));
}

#[test]
fn every_manifest_of_the_users_documents_is_read_or_refused_with_its_line() {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/manifests");
    let mut paths: Vec<PathBuf> = Disk.list(&dir).unwrap();
    paths.sort();
    assert_eq!(paths.len(), 29);
    for path in paths {
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        let text = std::fs::read_to_string(&path).unwrap();
        let stack = "namespace: openhands\nmanifests: [../m.yaml]\n";
        let table =
            Table::of(&[("boxctl.yaml", PROJECT), ("stacks/s.yaml", stack), ("m.yaml", &text)]);
        let outcome = table.load(&Inputs::default());
        let refused = match name.as_str() {
            "refused-1-docker-compose.yaml" => Some((2, "no Kubernetes manifest")),
            "refused-4-deployment.yaml" => Some((1, "this Deployment has no `apiVersion`")),
            _ => None,
        };
        match (outcome, refused) {
            (Ok(loaded), None) => {
                assert!(!loaded.stacks[0].resources.is_empty(), "{name}");
                let text = expanded_yaml(&loaded.stacks[0]);
                assert!(!text.contains("Default\\t"), "{name}: {text}");
            }
            (Err(reports), Some((line, message))) => {
                let report = reports.iter().find(|r| r.message.contains(message));
                let place = report.and_then(|r| r.location.as_ref()).map(|l| l.line);
                assert_eq!(place, Some(line), "{name}: {}", shown(&reports));
            }
            (Ok(_), Some(_)) => panic!("{name} is accepted"),
            (Err(reports), None) => panic!("{name}: {}", shown(&reports)),
        }
    }
}

#[test]
fn secrets_leave_the_specs_and_the_reports() {
    let stack = "variables:\n  password: {sensitive: true}\nmanifests: [../m.yaml]\nresources:\n  ssm_parameter.a:\n    name: a\n    value: x-${var.password}\n";
    let manifest = "apiVersion: v1\nkind: Secret\nmetadata: {name: s, namespace: a}\ndata:\n  key: aHVudGVyMg==\nstringData: {other: hunter3}\n";
    let table =
        Table::of(&[("boxctl.yaml", PROJECT), ("stacks/s.yaml", stack), ("m.yaml", manifest)]);
    let inputs = Inputs { vars: vec![("password".into(), "hunter4".into())], ..Inputs::default() };
    let loaded = table.load(&inputs).unwrap_or_else(|reports| panic!("{}", shown(&reports)));
    let text = format!("{:?} {:?}", loaded.stacks, loaded.reports);
    for value in ["hunter", "aHVudGVy"] {
        assert!(!text.contains(value), "{text}");
    }
    for id in ["k8s.Secret/a/s.data.key", "k8s.Secret/a/s.stringData.other", "var.password"] {
        let known = format!("{:?}", loaded.secrets);
        assert!(known.contains(id), "{known}");
    }
    let broken = manifest.replace("{other: hunter3}", "{other: hunter3");
    let table =
        Table::of(&[("boxctl.yaml", PROJECT), ("stacks/s.yaml", stack), ("m.yaml", &broken)]);
    let text = format!("{:?}", table.load(&inputs).unwrap_err());
    assert!(!text.contains("hunter"), "{text}");
}

#[test]
fn a_resource_by_hand_overrides_field_by_field() {
    let loaded = one("services:\n  a: {hostname: a.b0xp.io, origin: http://a:80, access: {allow: [{everyone: true}]}}\nresources:\n  access_application.a: {session_duration: 12h, protect: true}\n")
        .load(&Inputs::default())
        .unwrap_or_else(|reports| panic!("{}", shown(&reports)));
    let application = loaded.stacks[0].resource(&Address::new("access_application", "a")).unwrap();
    assert_eq!(application.spec["session_duration"], "12h");
    assert_eq!(application.spec["domain"], "a.b0xp.io");
    assert_eq!(application.meta.protect, Some(true));
}

#[test]
fn mistakes_in_stacks_have_their_place() {
    let table = [
        ("service: {}\n", 1, 1, "unknown key `service`", "`services`"),
        ("resources:\n  tunel.a: {name: a}\n", 2, 3, "there is no kind `tunel`", "`tunnel`"),
        ("resources:\n  tunnel.a: {nam: a}\n", 2, 14, "unknown key `nam`", "`name`"),
        (
            "resources:\n  tunnel.a: {name: a, wait: maybe}\n",
            2,
            29,
            "`wait` is to be true or false",
            "",
        ),
        (
            "resources:\n  tunnel.a: {name: \"${tunnel.b.idd}\"}\n  tunnel.b: {name: b}\n",
            2,
            21,
            "tunnel.b has no output `idd`",
            "`id`",
        ),
        ("resources:\n  tunnel.a: {name: \"x ${var.x}\"}\n", 2, 23, "there is no variable `x`", ""),
        (
            "resources:\n  tunnel.a: {name: a, depends_on: [tunnel.b]}\n",
            2,
            36,
            "there is no resource `tunnel.b`",
            "",
        ),
        ("variables:\n  x: {type: number, default: a}\n", 2, 30, "`x` is to be a number", ""),
        ("variables:\n  x: {}\n", 2, 3, "the variable `x` has no value", "BOXCTL_VAR_X"),
        (
            "manifests: [{path: ../x, optional: true}]\nforget: [a]\nsettings:\n  tunnel.*: {protekt: true}\n",
            4,
            14,
            "unknown key `protekt`",
            "`protect`",
        ),
        ("lookups:\n  identity_provider.g: {nam: GitHub}\n", 2, 25, "unknown key `nam`", ""),
        (
            "services:\n  a: {hostname: a.other.org, origin: \"http://a\", access: public}\n",
            2,
            17,
            "in none of the project's zones",
            "b0xp.io",
        ),
        (
            "services:\n  a: {hostname: a.b0xp.io, origin: \"http://a\", access: {allow: [{login_metod: x}]}}\n",
            2,
            66,
            "login_metod",
            "login_method",
        ),
        (
            "services:\n  a: {access: public, routes: [{hostname: a.b0xp.io, origin: \"http://a\", expose: private}, {hostname: a.b0xp.io, path: /x, origin: \"http://b\"}]}\n",
            2,
            103,
            "a.b0xp.io has another `expose` before",
            "a hostname is private, or it is not",
        ),
    ];
    for (text, line, column, message, hint) in table {
        let reports = one(text).load(&Inputs::default()).expect_err(text);
        let found = reports.iter().find(|report| report.message.contains(message));
        let report = found.unwrap_or_else(|| panic!("{text}: {}", shown(&reports)));
        let place = report.location.as_ref().map(|at| (at.line, at.column));
        assert_eq!(place, Some((line, column)), "{text}: {}", shown(&reports));
        assert!(report.hints.join(" ").contains(hint), "{text}: {:?}", report.hints);
    }
}

#[test]
fn the_command_line_and_commands_are_checked_too() {
    let table = one("manifests: [{command: [print, it]}]\nvariables: {runtime: {default: a}}\n");
    let loaded = table.load(&Inputs::default()).unwrap();
    assert_eq!(addresses(&loaded.stacks[0]), ["k8s.ConfigMap/a/print-it"]);
    assert!(!loaded.stacks[0].partial);
    for (inputs, message) in [
        (Inputs { vars: vec![("rutime".into(), "b".into())], ..Inputs::default() }, "rutime"),
        (Inputs { stacks: vec!["x".into()], ..Inputs::default() }, "there is no stack `x`"),
    ] {
        let reports = table.load(&inputs).unwrap_err();
        assert!(shown(&reports).contains(message), "{}", shown(&reports));
    }
}

#[test]
fn what_init_writes_loads() {
    let files = init_files("my: project");
    let named: Vec<(&str, &str)> =
        files.iter().map(|(path, text)| (path.to_str().unwrap(), text.as_str())).collect();
    let loaded = Table::of(&named)
        .load(&Inputs::default())
        .unwrap_or_else(|reports| panic!("{}", shown(&reports)));
    assert_eq!(loaded.project.name, "my: project");
    assert_eq!(loaded.stacks.len(), 1);
}

#[test]
fn the_schema_names_every_kind() {
    let schema = schema();
    for kind in crate::kinds::KINDS {
        assert!(schema["stack"]["$defs"].get(kind.name()).is_some() || kind.name() == "k8s");
    }
    assert!(schema["project"]["properties"].get("cloudflare").is_some());
}

#[test]
fn one_tunnel_may_be_configured_by_stacks_that_share_it() {
    let stack = |name: &str, shared: &str| {
        format!(
            "lookups:\n  tunnel.t: {{name: common}}\nresources:\n  tunnel_config.{name}:\n    tunnel: ${{tunnel.t.id}}\n    ingress: [{{hostname: {name}.b0xp.io, service: \"http://{name}:80\"}}]\n{shared}accept: {{unguarded: a test}}\n"
        )
    };
    let project = |shared: &str| {
        Table::of(&[
            ("boxctl.yaml", PROJECT),
            ("stacks/a.yaml", &stack("a", shared)),
            ("stacks/b.yaml", &stack("b", shared)),
        ])
    };
    let reports = project("").load(&Inputs::default()).unwrap_err();
    assert!(shown(&reports).contains("are one object"), "{}", shown(&reports));
    let asked = Inputs { stacks: vec!["a".into()], ..Inputs::default() };
    assert!(project("").load(&asked).is_err());
    let loaded = project("    shared: [ingress]\n").load(&asked);
    let loaded = loaded.unwrap_or_else(|reports| panic!("{}", shown(&reports)));
    assert_eq!(loaded.stacks.len(), 1);
    assert!(loaded.reports.is_empty(), "{}", shown(&loaded.reports));
}

#[test]
fn values_come_from_the_first_source_that_has_one() {
    let project = format!("{PROJECT}values: {{s: {{x: values}}}}\n");
    let stack =
        "variables: {x: {default: default}}\nresources:\n  tunnel.a: {name: \"${var.x}\"}\n";
    let table = Table::of(&[
        ("boxctl.yaml", &project),
        ("stacks/s.yaml", stack),
        ("vars.yaml", "x: file\n"),
    ]);
    let name = |inputs: &Inputs| {
        let loaded = table.load(inputs).unwrap_or_else(|reports| panic!("{}", shown(&reports)));
        loaded.stacks[0].resources[0].spec["name"].as_str().unwrap().to_owned()
    };
    let mut inputs = Inputs::default();
    assert_eq!(name(&inputs), "values");
    inputs.environment.insert("BOXCTL_VAR_X".into(), "environment".into());
    assert_eq!(name(&inputs), "environment");
    inputs.var_files.push("/project/vars.yaml".into());
    assert_eq!(name(&inputs), "file");
    inputs.vars.push(("x".into(), "line".into()));
    assert_eq!(name(&inputs), "line");
}

proptest::proptest! {
    #![proptest_config(proptest::prelude::ProptestConfig::with_cases(200))]
    #[test]
    fn any_stack_is_loaded_or_refused(words in proptest::collection::vec(proptest::sample::select(vec![
        "services:", "resources:", "manifests:", "variables:", "settings:", "lookups:", "forget:",
        "\n", "\n  ", "\n    ", "\n  - ", " ", "a:", "tunnel.a:", "dns_record.a:", "name:", "name: x",
        "hostname: a.b0xp.io", "origin: x", "access: public", "access: {allow: [{everyone: true}]}",
        "routes:", "${tunnel.a.id}", "\"${var.a}\"", "$${", "${", "default: 1", "{", "}", "[", "]",
        "&x", "*x", "<<:", "null", "[]", "{}", "語", "'", "ingress:", "value: v", "ssm_parameter.p:",
        "depends_on: [tunnel.a]", "k8s.ConfigMap/a/b:", "apiVersion: v1", "kind: Secret", "data:",
    ]), 0..30)) {
        let _ = one(&words.concat()).load(&Inputs::default());
    }
}
