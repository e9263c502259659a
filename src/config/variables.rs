//! Variables of stacks: what they declare, and where a value comes from.

use std::collections::{BTreeMap, BTreeSet};

use serde::Deserialize;

use super::Inputs;
use super::project::ProjectFile;
use super::scalar;
use super::shape;
use super::source::{Diagnostics, Mark, suggestion};
use super::yaml::{Node, Shape};
use crate::model::Json;
use crate::model::error::Report;
use crate::model::resource::{VariableSource, VariableValue};
use crate::model::secret::{Secret, SecretId, Secrets};

/// A variable of a stack.
#[derive(Clone, Debug, Default, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct VariableFile {
    /// The value where nothing else gives one.
    #[allow(dead_code)] // Read from the nodes, which know where it stands.
    pub default: Option<Json>,
    /// What values must look like: `string` (the default), `number` or `bool`.
    #[serde(rename = "type")]
    pub kind: Option<VariableType>,
    /// What it is for.
    #[allow(dead_code)] // For those who read the file.
    pub description: Option<String>,
    /// Whether values are secret: they are kept nowhere and shown nowhere.
    pub sensitive: Option<bool>,
}

/// What a variable's values look like.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(super) enum VariableType {
    /// Any text.
    #[default]
    String,
    /// A number.
    Number,
    /// `true` or `false`.
    Bool,
}

/// A variable as a stack declares it.
#[derive(Clone, Debug)]
pub(super) struct Declared {
    kind: VariableType,
    default: Option<(String, Mark)>,
    /// Whether its values are secret.
    pub sensitive: bool,
    mark: Mark,
}

/// A variable's value.
#[derive(Clone, Debug)]
pub(super) struct Variable {
    /// The text; empty where it is secret.
    pub text: String,
    /// Where the secret value is kept, for sensitive variables.
    pub secret: Option<SecretId>,
    source: VariableSource,
}

/// The variables of one stack, resolved.
#[derive(Clone, Debug, Default)]
pub(super) struct Variables {
    values: BTreeMap<String, Variable>,
    broken: BTreeSet<String>,
}

impl Variables {
    /// The value of a variable.
    pub fn get(&self, name: &str) -> Option<&Variable> {
        self.values.get(name)
    }

    /// Whether the variable is declared and has no usable value, which is told already.
    pub fn is_broken(&self, name: &str) -> bool {
        self.broken.contains(name)
    }

    /// The names of all variables.
    pub fn names(&self) -> impl Iterator<Item = &str> + Clone {
        self.values.keys().map(String::as_str)
    }

    /// The values as a stack records them. A sensitive one's fingerprint is not known here: its
    /// text is empty.
    pub fn recorded(&self) -> BTreeMap<String, VariableValue> {
        self.values
            .iter()
            .map(|(name, variable)| {
                let value = VariableValue {
                    value: variable.text.clone(),
                    sensitive: variable.secret.is_some(),
                    source: variable.source,
                };
                (name.clone(), value)
            })
            .collect()
    }
}

/// The variables that a stack's `variables` declares.
pub(super) fn declared(
    node: Option<&Node>,
    diagnostics: &mut Diagnostics,
) -> BTreeMap<String, Declared> {
    let schema = schemars::schema_for!(VariableFile).to_value();
    let mut out = BTreeMap::new();
    for entry in node.and_then(Node::entries).unwrap_or_default() {
        if !super::reference::is_name(&entry.key) {
            let message = format!("`{}` is no name of a variable", entry.key);
            let hint = "names are lower-case letters, digits, `-` and `_`";
            diagnostics.error_hint(entry.mark, message, Some(hint));
            continue;
        }
        let nothing = Node { shape: Shape::Map(Vec::new()), mark: entry.value.mark };
        let value = if entry.value.is_null() { &nothing } else { &entry.value };
        let checked = shape::check(value, &schema);
        super::tell(checked.faults, diagnostics);
        let file: VariableFile = serde_json::from_value(checked.value).unwrap_or_default();
        let default = value.get("default").filter(|node| !node.is_null());
        let default = default.and_then(|node| match node.text() {
            Some(text) => Some((text.to_owned(), node.mark)),
            None => {
                diagnostics.error(node.mark, "a variable's default is text, a number or a boolean");
                None
            }
        });
        let sensitive = file.sensitive.unwrap_or_default();
        if let (true, Some((_, mark))) = (sensitive, &default) {
            diagnostics.mask_document(mark.source, mark.line, mark.line);
            warn_written(&entry.key, *mark, diagnostics);
        }
        let kind = file.kind.unwrap_or_default();
        out.insert(entry.key.clone(), Declared { kind, default, sensitive, mark: entry.mark });
    }
    out
}

fn warn_written(name: &str, mark: Mark, diagnostics: &mut Diagnostics) {
    let report = Report::warning(
        "secret-in-file",
        format!("the value of the sensitive variable `{name}` stands in a file of the project"),
    )
    .hint("give it by BOXCTL_VAR_… or --var-file instead");
    diagnostics.push(Some(mark), report);
}

/// The names and values of the variable files, the last file that has a name wins.
pub(super) type FileValues = BTreeMap<String, (String, Mark)>;

/// Reads variable files: mappings of names to values, hidden when lines are shown.
pub(super) fn file_values(nodes: &[Node], diagnostics: &mut Diagnostics) -> FileValues {
    let mut out = FileValues::new();
    for node in nodes {
        let Some(entries) = node.entries() else {
            if !node.is_null() {
                diagnostics.error(node.mark, "a variable file is a mapping of names to values");
            }
            continue;
        };
        for entry in entries {
            match entry.value.text() {
                Some(text) => {
                    out.insert(entry.key.clone(), (text.to_owned(), entry.value.mark));
                }
                None => {
                    let message = format!("the value of `{}` is to be text or a number", entry.key);
                    diagnostics.error(entry.value.mark, message);
                }
            }
        }
    }
    out
}

/// The name of the environment variable that gives a variable's value.
pub(super) fn environment_name(name: &str) -> String {
    format!("BOXCTL_VAR_{}", name.to_ascii_uppercase().replace('-', "_"))
}

/// Where the values of a run come from.
pub(super) struct Sources<'a> {
    /// The command line and the environment.
    pub inputs: &'a Inputs,
    /// Variable files.
    pub files: &'a FileValues,
    /// The project file with its lasting values.
    pub project: &'a ProjectFile,
    /// Names of sensitive variables that several stacks have.
    pub ambiguous: &'a BTreeSet<String>,
}

/// Finds the value of each variable of a stack; secret ones go to `secrets`.
pub(super) fn resolve(
    stack: &str,
    declared: &BTreeMap<String, Declared>,
    sources: &Sources<'_>,
    secrets: &mut Secrets,
    diagnostics: &mut Diagnostics,
) -> Variables {
    let mut variables = Variables::default();
    for (name, declared) in declared {
        let qualified = format!("{stack}/{name}");
        let id = if sources.ambiguous.contains(name) { &qualified } else { name };
        let id = SecretId::variable(id);
        let Some((text, source, mark)) = find(stack, name, declared, sources) else {
            if let Some(earlier) = earlier(stack, name, sources).filter(|_| declared.sensitive) {
                // Its value is gone; what is compared by its fingerprint can still be compared.
                let (text, secret) = (String::new(), Some(id));
                let variable = Variable { text, secret, source: earlier.source };
                variables.values.insert(name.clone(), variable);
                continue;
            }
            let message = format!("the variable `{name}` has no value");
            let hint = format!(
                "give it by --var {name}=…, {}, `values` in boxctl.yaml or `default`",
                environment_name(name)
            );
            diagnostics.error_hint(declared.mark, message, Some(hint));
            variables.broken.insert(name.clone());
            continue;
        };
        if let Err(wanted) = check_type(&text, declared.kind) {
            let shown =
                if declared.sensitive { "its value".to_owned() } else { format!("`{text}`") };
            let message = format!("the variable `{name}` is to be {wanted}, not {shown}");
            let hint = (mark.is_none()).then_some("it is declared here");
            diagnostics.error_hint(mark.unwrap_or(declared.mark), message, hint);
            variables.broken.insert(name.clone());
            continue;
        }
        let variable = if declared.sensitive {
            secrets.insert(id.clone(), Secret::new(text));
            if let (VariableSource::Values, Some(mark)) = (source, mark) {
                diagnostics.mask_document(mark.source, mark.line, mark.line);
                warn_written(name, mark, diagnostics);
            }
            Variable { text: String::new(), secret: Some(id), source }
        } else {
            Variable { text, secret: None, source }
        };
        variables.values.insert(name.clone(), variable);
    }
    variables
}

fn find(
    stack: &str,
    name: &str,
    declared: &Declared,
    sources: &Sources<'_>,
) -> Option<(String, VariableSource, Option<Mark>)> {
    let inputs = sources.inputs;
    if let Some((_, text)) = inputs.vars.iter().rev().find(|(known, _)| known == name) {
        return Some((text.clone(), VariableSource::CommandLine, None));
    }
    if let Some((text, mark)) = sources.files.get(name) {
        return Some((text.clone(), VariableSource::File, Some(*mark)));
    }
    if let Some(text) = inputs.environment.get(&environment_name(name)) {
        return Some((text.clone(), VariableSource::Environment, None));
    }
    let fits = |earlier: &&VariableValue| {
        !earlier.sensitive
            && !declared.sensitive
            && check_type(&earlier.value, declared.kind).is_ok()
    };
    let earlier = earlier(stack, name, sources).filter(fits);
    if let Some(earlier) = earlier.filter(|earlier| earlier.source.is_passing()) {
        return Some((earlier.value.clone(), earlier.source, None));
    }
    if let Some((text, mark)) = sources.project.values.get(stack).and_then(|v| v.get(name)) {
        return Some((text.clone(), VariableSource::Values, Some(*mark)));
    }
    if let Some((text, mark)) = declared.default.clone() {
        return Some((text, VariableSource::Default, Some(mark)));
    }
    earlier.map(|earlier| (earlier.value.clone(), earlier.source, None))
}

/// What an earlier run had for a variable.
fn earlier<'a>(stack: &str, name: &str, sources: &'a Sources<'_>) -> Option<&'a VariableValue> {
    sources.inputs.earlier.get(stack)?.get(name)
}

fn check_type(text: &str, kind: VariableType) -> Result<(), &'static str> {
    match kind {
        VariableType::String => Ok(()),
        VariableType::Number => match scalar::resolve(text, scalar::Rules::Core) {
            Some(Json::Number(_)) => Ok(()),
            _ => Err("a number"),
        },
        VariableType::Bool if matches!(text, "true" | "false") => Ok(()),
        VariableType::Bool => Err("true or false"),
    }
}

/// Names that were given and that nothing declares.
pub(super) fn check_names(
    inputs: &Inputs,
    files: &FileValues,
    asked: &BTreeSet<String>,
    all: &BTreeSet<String>,
    diagnostics: &mut Diagnostics,
) {
    for (name, _) in inputs.vars.iter().filter(|(name, _)| !asked.contains(name)) {
        let mut report =
            Report::error(format!("--var {name}: no stack of this run has a variable `{name}`"));
        report.hints.extend(suggestion(name, asked.iter().map(String::as_str)));
        diagnostics.push(None, report);
    }
    for (name, (_, mark)) in files.iter().filter(|(name, _)| !all.contains(*name)) {
        let message = format!("no stack has a variable `{name}`");
        diagnostics.error_hint(*mark, message, suggestion(name, all.iter().map(String::as_str)));
    }
}
