//! `state:` of `boxctl.yaml`: where states are kept.

use std::path::PathBuf;

use serde::Deserialize;

use super::shape;
use super::source::{Diagnostics, Mark};
use super::yaml;
use crate::model::error::Report;
use crate::model::project::{Keeping, Place};

/// Where states of a project are whose file says nothing.
const DIR: &str = "state";

#[derive(Debug, Default, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct StateText {
    /// `local`: files in a directory of the project. `s3`: objects in a bucket. `kubernetes`:
    /// Secrets in a namespace.
    backend: Option<Backend>,
    /// Of `local`: the directory, relative to the project; `state` where nothing is said.
    dir: Option<String>,
    /// Of `s3`: the bucket.
    bucket: Option<String>,
    /// Of `s3`: what the keys begin with; the project's name and a slash where nothing is said.
    prefix: Option<String>,
    /// Of `s3`: the bucket's region; the project's, or as the AWS SDK finds it, where nothing is
    /// said.
    region: Option<String>,
    /// Of `s3`: the URL of a store that speaks like S3; AWS's own where nothing is said.
    endpoint: Option<String>,
    /// Of `kubernetes`: the namespace, which has to exist.
    namespace: Option<String>,
    /// Of `kubernetes`: the kubeconfig context; the project's where nothing is said.
    context: Option<String>,
    /// Seals what is kept.
    encryption: Option<EncryptionText>,
}

#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
enum Backend {
    #[default]
    Local,
    S3,
    Kubernetes,
}

impl Backend {
    fn name(self) -> &'static str {
        match self {
            Backend::Local => "local",
            Backend::S3 => "s3",
            Backend::Kubernetes => "kubernetes",
        }
    }
}

#[derive(Debug, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
struct EncryptionText {
    /// The environment variable with the key: 32 bytes in Base64.
    key_env: String,
}

/// What of a project's file counts here, too.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Around<'a> {
    /// The project's name.
    pub project: &'a str,
    /// Its region.
    pub region: Option<&'a str>,
    /// Its kubeconfig context.
    pub context: Option<&'a str>,
}

impl StateText {
    /// What is meant; mistakes are told at the places that `at` gives for `state.…`.
    pub fn build(
        self,
        around: Around<'_>,
        at: &dyn Fn(&str) -> Mark,
        diagnostics: &mut Diagnostics,
    ) -> Keeping {
        let backend = self.backend.unwrap_or_default();
        let fields = [
            ("dir", Backend::Local, self.dir.is_some()),
            ("bucket", Backend::S3, self.bucket.is_some()),
            ("prefix", Backend::S3, self.prefix.is_some()),
            ("region", Backend::S3, self.region.is_some()),
            ("endpoint", Backend::S3, self.endpoint.is_some()),
            ("namespace", Backend::Kubernetes, self.namespace.is_some()),
            ("context", Backend::Kubernetes, self.context.is_some()),
        ];
        for (name, of, is_given) in fields {
            if is_given && of != backend {
                diagnostics.error_hint(
                    at(&format!("state.{name}")),
                    format!("`{name}` says nothing where states are kept by `{}`", backend.name()),
                    Some(format!("`backend: {}` is what it belongs to", of.name())),
                );
            }
        }
        let place = match backend {
            Backend::Local => {
                Place::Local { dir: PathBuf::from(self.dir.unwrap_or_else(|| DIR.to_owned())) }
            }
            Backend::S3 => {
                if self.bucket.is_none() {
                    diagnostics.error(at("state"), "`bucket` is missing in `state`");
                }
                let endpoint = self.endpoint.map(|url| url.trim_end_matches('/').to_owned());
                if let Some(url) = endpoint.as_deref().filter(|url| !is_url(url)) {
                    diagnostics.error_hint(
                        at("state.endpoint"),
                        format!("`{url}` is not a URL"),
                        Some("write https:// and the host"),
                    );
                }
                Place::S3 {
                    bucket: self.bucket.unwrap_or_default(),
                    prefix: prefix(self.prefix.as_deref().unwrap_or(around.project)),
                    region: self.region.or_else(|| around.region.map(str::to_owned)),
                    endpoint,
                }
            }
            Backend::Kubernetes => {
                let namespace = self.namespace.unwrap_or_default();
                if namespace.is_empty() {
                    diagnostics.error_hint(
                        at("state"),
                        "`namespace` is missing in `state`",
                        Some("name one that is there: the states are Secrets in it"),
                    );
                } else if !is_label(&namespace) {
                    diagnostics.error_hint(
                        at("state.namespace"),
                        format!("`{namespace}` can't be the name of a namespace"),
                        Some("lower-case letters, digits and dashes, at most 63"),
                    );
                }
                let context = self.context.or_else(|| around.context.map(str::to_owned));
                Place::Kubernetes { namespace, context }
            }
        };
        let key_env = self.encryption.map(|encryption| encryption.key_env);
        if let Some(name) = key_env.as_deref().filter(|name| !is_variable(name)) {
            diagnostics.error_hint(
                at("state.encryption.key_env"),
                format!("`{name}` can't be the name of an environment variable"),
                Some("this is the name of the variable, never the key itself"),
            );
        }
        Keeping { place, key_env }
    }
}

/// What keys begin with: nothing, or what ends in a slash.
fn prefix(text: &str) -> String {
    match text.trim_matches('/') {
        "" => String::new(),
        inner => format!("{inner}/"),
    }
}

fn is_url(text: &str) -> bool {
    let host = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://"));
    host.is_some_and(|host| !host.is_empty() && !host.contains(char::is_whitespace))
}

fn is_label(text: &str) -> bool {
    text.len() <= 63
        && !text.starts_with('-')
        && !text.ends_with('-')
        && text.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-')
}

fn is_variable(text: &str) -> bool {
    !text.starts_with(|c: char| c.is_ascii_digit())
        && !text.is_empty()
        && text.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
}

/// Reads what `state:` of a project file says, or said, given on the command line.
pub(super) fn read(text: &str, around: Around<'_>) -> Result<Keeping, Vec<Report>> {
    let mut diagnostics = Diagnostics::default();
    let source = diagnostics.add("the command line", text);
    let nodes = yaml::parse(text, source, &mut diagnostics).unwrap_or_default();
    let start = Mark { source, line: 1, column: 1, width: 1 };
    let built = match nodes.as_slice() {
        [node] => {
            let checked = shape::check(node, &schemars::schema_for!(StateText).to_value());
            super::tell(checked.faults, &mut diagnostics);
            let marks = shape::marks(node);
            let at = |path: &str| {
                let inner = path.strip_prefix("state").unwrap_or(path).trim_start_matches('.');
                shape::place(&marks, inner).unwrap_or(node.mark)
            };
            let text: Option<StateText> = serde_json::from_value(checked.value).ok();
            text.map(|text| text.build(around, &at, &mut diagnostics))
        }
        _ => {
            diagnostics.error(start, "this is not what `state:` of boxctl.yaml can say");
            None
        }
    };
    match built {
        Some(keeping) if !diagnostics.failed_since(0) => Ok(keeping),
        _ => Err(diagnostics.finish()),
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{Table, shown};
    use super::*;
    use std::path::Path;

    fn keeping(state: &str) -> Result<Keeping, String> {
        let text = format!(
            "project: my home\naws: {{region: eu-west-1}}\nkubernetes: {{context: home}}\n{state}"
        );
        let table = Table::of(&[("boxctl.yaml", &text)]);
        let project = super::super::load_project(Path::new("/project"), &table);
        project.map(|project| project.keeping).map_err(|reports| shown(&reports))
    }

    fn s3(bucket: &str, prefix: &str, region: &str, endpoint: Option<&str>) -> Place {
        Place::S3 {
            bucket: bucket.to_owned(),
            prefix: prefix.to_owned(),
            region: Some(region.to_owned()),
            endpoint: endpoint.map(str::to_owned),
        }
    }

    #[test]
    fn states_are_kept_where_the_project_says() {
        let namespace = |context: &str| Place::Kubernetes {
            namespace: "boxctl".to_owned(),
            context: Some(context.to_owned()),
        };
        for (text, place, key) in [
            ("", Place::Local { dir: "state".into() }, None),
            ("state: {dir: s/t}", Place::Local { dir: "s/t".into() }, None),
            ("state: {backend: local}", Place::Local { dir: "state".into() }, None),
            (
                "state: {backend: local, encryption: {key_env: KEY}}",
                Place::Local { dir: "state".into() },
                Some("KEY"),
            ),
            ("state: {backend: s3, bucket: b}", s3("b", "my home/", "eu-west-1", None), None),
            ("state: {backend: s3, bucket: b, prefix: ''}", s3("b", "", "eu-west-1", None), None),
            (
                "state: {backend: s3, bucket: b, prefix: /a/b/, region: auto, endpoint: 'https://x/'}",
                s3("b", "a/b/", "auto", Some("https://x")),
                None,
            ),
            ("state: {backend: kubernetes, namespace: boxctl}", namespace("home"), None),
            (
                "state: {backend: kubernetes, namespace: boxctl, context: other}",
                namespace("other"),
                None,
            ),
        ] {
            let expected = Keeping { place, key_env: key.map(str::to_owned) };
            assert_eq!(keeping(text), Ok(expected), "{text}");
        }
    }

    #[test]
    fn places_are_told_apart_by_what_people_call_them() {
        for (text, called) in [
            ("state: {dir: s/t}", "s/t/"),
            ("state: {backend: s3, bucket: b}", "s3://b/my home/"),
            (
                "state: {backend: s3, bucket: b, prefix: p, endpoint: 'http://m:9000'}",
                "s3://b/p/ at http://m:9000",
            ),
            ("state: {backend: kubernetes, namespace: n}", "namespace n of home"),
        ] {
            assert_eq!(keeping(text).unwrap().place.to_string(), called);
        }
    }

    #[test]
    fn mistakes_in_where_states_are_kept_have_their_place() {
        for (text, place, message) in [
            ("state: {backend: s4, bucket: b}", "4:18", "`s4` is none of local, s3, kubernetes"),
            ("state: {backend: s3}", "4:8", "`bucket` is missing in `state`"),
            ("state: {backend: s3, bucket: b, buket: c}", "4:33", "`bucket`"),
            (
                "state: {backend: s3, bucket: b, dir: state}",
                "4:38",
                "`dir` says nothing where states are kept by `s3`",
            ),
            (
                "state: {bucket: b}",
                "4:17",
                "`bucket` says nothing where states are kept by `local`",
            ),
            (
                "state: {backend: s3, bucket: b, endpoint: minio:9000}",
                "4:43",
                "`minio:9000` is not a URL",
            ),
            ("state: {backend: kubernetes}", "4:8", "`namespace` is missing in `state`"),
            (
                "state: {backend: kubernetes, namespace: Box_ctl}",
                "4:41",
                "`Box_ctl` can't be the name of a namespace",
            ),
            (
                "state: {encryption: {key_env: my-key}}",
                "4:31",
                "`my-key` can't be the name of an environment variable",
            ),
            ("timing: {lease: soon}", "4:17", "this is not a duration"),
        ] {
            let error = keeping(text).unwrap_err();
            assert!(error.contains(message), "{text}: {error}");
            assert!(error.contains(&format!("boxctl.yaml:{place}")), "{text}: {error}");
        }
    }

    #[test]
    fn the_command_line_says_it_in_the_same_words() {
        let around = Around { project: "p", region: Some("eu-west-1"), context: None };
        let read = |text| super::read(text, around);
        let local = Keeping::local("old");
        assert_eq!(read("{backend: local, dir: old}").unwrap(), local);
        assert_eq!(read("backend: local\ndir: old").unwrap(), local);
        let bucket = Keeping { place: s3("b", "p/", "eu-west-1", None), key_env: None };
        assert_eq!(read("{backend: s3, bucket: b}").unwrap(), bucket);
        for (text, message) in [
            ("local", "local"),
            ("", "is not what `state:` of boxctl.yaml can say"),
            ("{backend: s3}", "`bucket` is missing"),
            ("{backend: kubernetes, namespace: X}", "the command line:1:34"),
        ] {
            let error = shown(&read(text).unwrap_err());
            assert!(error.contains(message), "{text}: {error}");
        }
    }
}
