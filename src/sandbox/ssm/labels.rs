//! Labels: names for versions of a parameter.

use serde_json::{Map, Value, json};

use super::names::selector;
use super::write::not_found;
use super::{AwsError, Outcome, Parameter, Store, Version, required, strings};

/// Labels that a version may have.
const LIMIT: usize = 10;
/// Characters that a label may have.
const LENGTH: usize = 100;

/// The refusal of a version, or a label, that a parameter does not have.
pub fn version_not_found(wanted: &str, name: &str) -> AwsError {
    let text = format!(
        "Systems Manager could not find version {wanted} of {name}. Verify the version and try \
         again."
    );
    AwsError::new("ParameterVersionNotFound", text)
}

/// The parameter of a call, and the place of the version that it means.
fn version<'a>(
    store: &'a mut Store<'_>,
    input: &Map<String, Value>,
) -> Result<(&'a mut Parameter, usize), AwsError> {
    let (name, _) = selector(store, required(input, "Name")?);
    let wanted = input.get("ParameterVersion").and_then(Value::as_u64);
    let parameter = store.parameters.get_mut(&name).ok_or_else(|| not_found(&name))?;
    let place = match wanted {
        None => parameter.versions.len().checked_sub(1),
        Some(wanted) => parameter.versions.iter().position(|v| v.version == wanted),
    };
    let place =
        place.ok_or_else(|| version_not_found(&wanted.unwrap_or_default().to_string(), &name))?;
    Ok((parameter, place))
}

/// Labels begin with a letter, `_`, `.` or `-`, and neither with `aws` nor `ssm`.
fn is_label(text: &str) -> bool {
    let lower = text.to_ascii_lowercase();
    let reserved = lower.starts_with("aws") || lower.starts_with("ssm");
    !reserved
        && !text.starts_with(|c: char| c.is_ascii_digit())
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"_.-".contains(&b))
}

/// The member `Labels`.
fn labels(input: &Map<String, Value>) -> Result<Vec<&str>, AwsError> {
    let labels = strings(input, "Labels");
    let fits = |label: &&str| (1..=LENGTH).contains(&label.chars().count());
    match labels.len() {
        1..=LIMIT if labels.iter().all(fits) => Ok(labels),
        _ => Err(AwsError::validation(format!(
            "1 validation error detected: Value '[{}]' at 'labels' failed to satisfy constraint: \
             Member must have length less than or equal to {LIMIT}, and each member a length of 1 \
             to {LENGTH}",
            labels.join(", ")
        ))),
    }
}

/// `LabelParameterVersion`: a label that another version has moves.
pub fn add(store: &mut Store<'_>, input: &Map<String, Value>) -> Outcome {
    let (right, invalid): (Vec<&str>, Vec<&str>) =
        labels(input)?.into_iter().partition(|label| is_label(label));
    let (parameter, place) = version(store, input)?;
    let mut all: Vec<String> =
        parameter.versions.get(place).map(|v| v.labels.clone()).unwrap_or_default();
    for label in &right {
        if !all.iter().any(|known| known == label) {
            all.push((*label).to_owned());
        }
    }
    if all.len() > LIMIT {
        let text = format!(
            "A parameter version can have maximum {LIMIT} labels. Move one or more labels to \
             another version and try again."
        );
        return Err(AwsError::new("ParameterVersionLabelLimitExceeded", text));
    }
    let mut number = 0;
    for (at, version) in parameter.versions.iter_mut().enumerate() {
        match at == place {
            true => {
                version.labels = std::mem::take(&mut all);
                number = version.version;
            }
            false => version.labels.retain(|label| !right.contains(&label.as_str())),
        }
    }
    Ok(json!({ "InvalidLabels": invalid, "ParameterVersion": number }))
}

/// `UnlabelParameterVersion`.
pub fn remove(store: &mut Store<'_>, input: &Map<String, Value>) -> Outcome {
    let labels = labels(input)?;
    if !input.contains_key("ParameterVersion") {
        return Err(AwsError::validation(
            "1 validation error detected: Value 'null' at 'parameterVersion' failed to satisfy \
             constraint: Member must not be null",
        ));
    }
    let (parameter, place) = version(store, input)?;
    let Some(Version { labels: known, .. }) = parameter.versions.get_mut(place) else {
        return Ok(json!({ "RemovedLabels": [], "InvalidLabels": labels }));
    };
    let (removed, invalid): (Vec<&str>, Vec<&str>) =
        labels.into_iter().partition(|label| known.iter().any(|known| known == label));
    known.retain(|label| !removed.contains(&label.as_str()));
    Ok(json!({ "RemovedLabels": removed, "InvalidLabels": invalid }))
}
