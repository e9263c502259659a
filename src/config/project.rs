//! `boxctl.yaml`.

use std::collections::BTreeMap;
use std::path::Path;

use serde::Deserialize;

use super::connector::{self, ConnectorText};
use super::files::Files;
use super::hostname;
use super::keeping::{Around, StateText};
use super::notify::{self, NotifyText};
use super::settings::DurationFile;
use super::shape::{self, Marks};
use super::source::{Diagnostics, Mark, suggestion};
use super::yaml::{self, Node, Shape};
use crate::model::error::Report;
use crate::model::project::{CloudflareSettings, Project, Timing};
use crate::model::scope::{Scope, Zone};
use crate::model::{Json, JsonMap};

/// The name of the project file.
pub(super) const FILE: &str = "boxctl.yaml";

const DESTROY_LIMIT_PERCENT: u8 = 30;

#[derive(Debug, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct ProjectText {
    /// The project's name.
    project: String,
    /// Patterns of stack files, relative to the project; `stacks/*.yaml` where nothing is said.
    stacks: Option<Vec<String>>,
    /// Cloudflare's account and zones.
    cloudflare: Option<CloudflareText>,
    /// Where AWS is asked.
    aws: Option<AwsText>,
    /// Which cluster is meant.
    kubernetes: Option<KubernetesText>,
    /// The namespace of manifests that name none, unless the stack says one.
    namespace: Option<String>,
    /// Where states are kept.
    state: Option<StateText>,
    /// Lasting values of variables, by stack and name.
    #[allow(dead_code)] // Read from the nodes, which know where each value stands.
    values: Option<BTreeMap<String, BTreeMap<String, ScalarText>>>,
    /// Stacks whose file is gone and that are to be destroyed.
    retired: Option<Vec<String>>,
    /// What a plan may do without being told so.
    limits: Option<LimitsText>,
    /// What generated connectors look like.
    connector: Option<ConnectorText>,
    /// Who is told when the set of drift changes, by `boxctl drift --notify`.
    notify: Option<NotifyText>,
    /// Waits of a run.
    timing: Option<TimingText>,
}

/// Text, a number or a boolean.
#[derive(Debug, Deserialize, schemars::JsonSchema)]
#[serde(untagged)]
#[allow(dead_code)] // Only its shape is checked here.
enum ScalarText {
    Bool(bool),
    Number(f64),
    Text(String),
}

#[derive(Debug, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
struct CloudflareText {
    /// The account's id, 32 hex digits.
    account_id: String,
    /// Names or ids of zones.
    zones: Vec<String>,
}

#[derive(Debug, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
struct AwsText {
    /// The region; as the AWS SDK finds it where nothing is said.
    region: Option<String>,
}

#[derive(Debug, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
struct KubernetesText {
    /// The kubeconfig context; the current one where nothing is said.
    context: Option<String>,
}

#[derive(Debug, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
struct LimitsText {
    /// The share of a stack's resources that a plan may delete or replace: `30%`.
    destroy: Option<String>,
}

/// Durations: seconds, or text like `500ms`, `30s`, `5m`.
#[derive(Debug, Default, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
struct TimingText {
    /// The limit of one request.
    request: Option<DurationFile>,
    /// The first pause before a retry.
    backoff: Option<DurationFile>,
    /// The longest pause before a retry.
    backoff_max: Option<DurationFile>,
    /// How long retries of one step may take together.
    step: Option<DurationFile>,
    /// The pause between two looks at whether an object is ready.
    poll: Option<DurationFile>,
    /// The grace period for calls in flight after an interrupt.
    grace: Option<DurationFile>,
    /// How long a call whose answer was lost is remembered, since it may arrive late.
    late: Option<DurationFile>,
    /// How long a command that prints manifests may take.
    command: Option<DurationFile>,
    /// How long the lock of a shared state has to stand still before another run takes it over; its
    /// holder renews it six times in that time.
    lease: Option<DurationFile>,
}

/// A project file with what the rest of the loading needs of it.
pub(super) struct ProjectFile {
    /// The project.
    pub project: Project,
    /// Lasting values by stack and name, and where they stand.
    pub values: BTreeMap<String, BTreeMap<String, (String, Mark)>>,
    /// Where the names of stacks in `values` stand.
    value_stacks: BTreeMap<String, Mark>,
    /// Where everything stands.
    pub marks: Marks,
}

impl ProjectFile {
    /// The accounts as far as they are known before the network: zones by name. A zone that the
    /// file gives by id has no name.
    pub fn scope(&self) -> Scope {
        let Some(cloudflare) = &self.project.cloudflare else { return Scope::default() };
        let zones = cloudflare
            .zones
            .iter()
            .map(|zone| {
                if is_id(zone) {
                    Zone { id: zone.clone(), name: String::new() }
                } else {
                    Zone { id: String::new(), name: zone.clone() }
                }
            })
            .collect();
        Scope { account_id: cloudflare.account_id.clone(), zones, ..Scope::default() }
    }

    /// Values of stacks or variables that there are not. `stacks` has the variables of each stack.
    pub fn check_values(
        &self,
        stacks: &BTreeMap<String, Vec<String>>,
        diagnostics: &mut Diagnostics,
    ) {
        for (stack, values) in &self.values {
            let Some(names) = stacks.get(stack) else {
                if self.project.retired.contains(stack) {
                    continue;
                }
                if let Some(mark) = self.value_stacks.get(stack) {
                    let hint = suggestion(stack, stacks.keys().map(String::as_str));
                    diagnostics.error_hint(*mark, format!("there is no stack `{stack}`"), hint);
                }
                continue;
            };
            for (name, (_, mark)) in values.iter().filter(|(name, _)| !names.contains(name)) {
                let message = format!("the stack `{stack}` has no variable `{name}`");
                let hint = suggestion(name, names.iter().map(String::as_str));
                diagnostics.error_hint(*mark, message, hint);
            }
        }
    }
}

/// The JSON Schema of `boxctl.yaml`.
pub(super) fn schema() -> Json {
    schemars::schema_for!(ProjectText).to_value()
}

/// Reads `boxctl.yaml`; None after an error that leaves nothing to go on with.
pub(super) fn load(
    dir: &Path,
    files: &dyn Files,
    diagnostics: &mut Diagnostics,
) -> Option<ProjectFile> {
    let text = match files.read(&dir.join(FILE)) {
        Ok(text) => text,
        Err(error) => {
            let report = Report::error(format!("{FILE} could not be read"))
                .cause(error)
                .hint("`boxctl init` makes one");
            diagnostics.push(None, report);
            return None;
        }
    };
    let source = diagnostics.add(FILE, &text);
    let nodes = yaml::parse(&text, source, diagnostics)?;
    let start = Mark { source, line: 1, column: 1, width: 1 };
    let [node] = nodes.as_slice() else {
        diagnostics.error(start, format!("{FILE} is to hold one document"));
        return None;
    };
    let checked = shape::check(node, &schema());
    let sound = checked.faults.is_empty();
    super::tell(checked.faults, diagnostics);
    let text: Option<ProjectText> = serde_json::from_value(checked.value).ok();
    match text {
        Some(text) => Some(build(dir, text, node, diagnostics)),
        None if sound => {
            diagnostics.error(node.mark, format!("{FILE} could not be understood"));
            None
        }
        None => None,
    }
}

fn build(dir: &Path, text: ProjectText, node: &Node, diagnostics: &mut Diagnostics) -> ProjectFile {
    let marks = shape::marks(node);
    let at = |path: &str| shape::place(&marks, path).unwrap_or(node.mark);
    if text.project.trim().is_empty() {
        diagnostics.error(at("project"), "the project has no name");
    }
    let cloudflare = text.cloudflare.map(|text| cloudflare(text, &at, diagnostics));
    let (region, context) = (
        text.aws.and_then(|aws| aws.region),
        text.kubernetes.and_then(|kubernetes| kubernetes.context),
    );
    let around =
        Around { project: &text.project, region: region.as_deref(), context: context.as_deref() };
    let keeping = text.state.unwrap_or_default().build(around, &at, diagnostics);
    let (values, value_stacks) = values(node);
    let plain = values
        .iter()
        .map(|(stack, values)| {
            let map: JsonMap = values
                .iter()
                .map(|(name, (text, _))| (name.clone(), text.clone().into()))
                .collect();
            (stack.clone(), map)
        })
        .collect();
    let limit = text.limits.and_then(|limits| limits.destroy);
    let destroy_limit_percent = match limit.as_deref().map(percent) {
        None => DESTROY_LIMIT_PERCENT,
        Some(Some(percent)) => percent,
        Some(None) => {
            diagnostics.error_hint(
                at("limits.destroy"),
                "this is not a share",
                Some("write a number of percent: 30%"),
            );
            DESTROY_LIMIT_PERCENT
        }
    };
    let project = Project {
        dir: dir.to_owned(),
        name: text.project,
        stacks: text.stacks.unwrap_or_else(|| vec!["stacks/*.yaml".to_owned()]),
        cloudflare,
        aws_region: region,
        kubernetes_context: context,
        namespace: text.namespace,
        keeping,
        values: plain,
        retired: text.retired.unwrap_or_default(),
        destroy_limit_percent,
        connector: text.connector.map(|text| connector::settings(text, &at, diagnostics)),
        notify: text
            .notify
            .map(|text| notify::settings(text, &at, diagnostics))
            .unwrap_or_default(),
        timing: timing(&text.timing.unwrap_or_default(), &at, diagnostics),
    };
    ProjectFile { project, values, value_stacks, marks }
}

fn cloudflare(
    text: CloudflareText,
    at: &dyn Fn(&str) -> Mark,
    diagnostics: &mut Diagnostics,
) -> CloudflareSettings {
    if !is_id(&text.account_id) {
        diagnostics.error_hint(
            at("cloudflare.account_id"),
            "this is not an account id",
            Some("it has 32 hex digits and stands in the dashboard's address"),
        );
    }
    let mut zones = Vec::new();
    for (i, zone) in text.zones.iter().enumerate() {
        let name = zone.trim_end_matches('.').to_ascii_lowercase();
        if let (false, Some(why)) = (is_id(zone), hostname::refused(&name)) {
            let message = format!("`{zone}` is neither a zone's name nor its id: {why}");
            diagnostics.error(at(&format!("cloudflare.zones[{i}]")), message);
        }
        zones.push(name);
    }
    CloudflareSettings { account_id: text.account_id, zones }
}

fn timing(text: &TimingText, at: &dyn Fn(&str) -> Mark, diagnostics: &mut Diagnostics) -> Timing {
    let mut timing = Timing::default();
    let fields = [
        ("request", &text.request, &mut timing.request_ms),
        ("backoff", &text.backoff, &mut timing.backoff_ms),
        ("backoff_max", &text.backoff_max, &mut timing.backoff_max_ms),
        ("step", &text.step, &mut timing.step_ms),
        ("poll", &text.poll, &mut timing.poll_ms),
        ("grace", &text.grace, &mut timing.grace_ms),
        ("late", &text.late, &mut timing.late_ms),
        ("command", &text.command, &mut timing.command_ms),
        ("lease", &text.lease, &mut timing.lease_ms),
    ];
    for (name, given, value) in fields {
        match given.as_ref().map(DurationFile::milliseconds) {
            None => {}
            Some(Some(milliseconds)) => *value = milliseconds,
            Some(None) => diagnostics.error_hint(
                at(&format!("timing.{name}")),
                "this is not a duration",
                Some("write 500ms, 30s or 5m"),
            ),
        }
    }
    timing
}

type Values = BTreeMap<String, BTreeMap<String, (String, Mark)>>;

fn values(node: &Node) -> (Values, BTreeMap<String, Mark>) {
    let mut values = Values::new();
    let mut marks = BTreeMap::new();
    for stack in node.get("values").and_then(Node::entries).unwrap_or_default() {
        marks.insert(stack.key.clone(), stack.mark);
        let mut own = BTreeMap::new();
        for entry in stack.value.entries().unwrap_or_default() {
            if let Shape::Scalar(scalar) = &entry.value.shape {
                own.insert(entry.key.clone(), (scalar.text.clone(), entry.value.mark));
            }
        }
        values.insert(stack.key.clone(), own);
    }
    (values, marks)
}

fn percent(text: &str) -> Option<u8> {
    let number: u8 = text.trim().trim_end_matches('%').trim_end().parse().ok()?;
    (number <= 100).then_some(number)
}

/// Whether a text is an id of Cloudflare's: 32 hex digits.
pub(super) fn is_id(text: &str) -> bool {
    text.len() == 32 && text.chars().all(|c| c.is_ascii_hexdigit())
}
