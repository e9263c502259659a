//! Operations that write and delete parameters.

use jiff::SignedDuration;
use serde_json::{Map, Value, json};

use super::names;
use super::{
    AwsError, Outcome, Parameter, Store, Version, epoch_seconds, flag, required, str_of, strings,
    tags,
};
use crate::sandbox::env::Env;
use crate::sandbox::quirks::Quirk;

/// Versions that are kept.
const HISTORY: usize = 100;
const STANDARD_LIMIT: usize = 4096;
const ADVANCED_LIMIT: usize = 8192;
const DESCRIPTION_LIMIT: usize = 1024;
/// Parameters that a region may hold of the tiers Standard and Advanced.
const PARAMETERS: [(&str, usize); 2] = [("Standard", 10_000), ("Advanced", 100_000)];

/// `PutParameter`.
pub fn put(store: &mut Store<'_>, input: &Map<String, Value>, env: &mut Env) -> Outcome {
    let name = required(input, "Name")?.to_owned();
    let value = checked_value(input)?;
    let overwrite = flag(input, "Overwrite");
    let new_tags = tags::read(input)?;
    if overwrite && !new_tags.is_empty() {
        return Err(AwsError::validation(
            "Invalid request: tags and overwrite can't be used together. To create a parameter \
             with tags, please remove overwrite flag. To update tags for an existing parameter, \
             please use AddTagsToResource or RemoveTagsFromResource.",
        ));
    }
    let going = is_going(store, &name, env);
    let known = store.parameters.get(&name);
    if known.is_none() {
        names::check(&name, &store.arn(&name))?;
    }
    if going || (known.is_some() && !overwrite) {
        return Err(AwsError::new(
            "ParameterAlreadyExists",
            "The parameter already exists. To overwrite this value, set the overwrite option in \
             the request to true.",
        ));
    }
    let kind = kind_of(input, known)?;
    let before = known.and_then(Parameter::latest);
    let version = next_version(store, input, &kind, value, before, env)?;
    if let Some(parameter) = known {
        check_history(&name, parameter)?;
    } else {
        check_count(store, &version.tier)?;
    }
    let answer = json!({ "Version": version.version, "Tier": version.tier });
    match store.parameters.get_mut(&name) {
        Some(parameter) => {
            parameter.versions.push(version);
            let over = parameter.versions.len().saturating_sub(HISTORY);
            parameter.versions.drain(..over);
        }
        None => {
            let parameter = Parameter { kind, versions: vec![version], tags: new_tags };
            store.parameters.insert(name, parameter);
        }
    }
    Ok(answer)
}

/// The oldest version makes room for a new one, unless a label holds it.
fn check_history(name: &str, parameter: &Parameter) -> Result<(), AwsError> {
    let full = parameter.versions.len() >= HISTORY;
    let held = parameter.versions.first().filter(|oldest| full && !oldest.labels.is_empty());
    let Some(oldest) = held else { return Ok(()) };
    Err(AwsError::new(
        "ParameterMaxVersionLimitExceeded",
        format!(
            "You attempted to create a new version of {name} by calling the PutParameter API with \
             the overwrite flag. Version {}, the oldest version, can't be deleted because it has a \
             label associated with it. Move the label to another version of the parameter, and \
             try again.",
            oldest.version
        ),
    ))
}

fn check_count(store: &Store<'_>, tier: &str) -> Result<(), AwsError> {
    let of_tier = |parameter: &&Parameter| parameter.latest().is_some_and(|v| v.tier == tier);
    let count = store.parameters.values().filter(of_tier).count();
    match PARAMETERS.iter().any(|(limited, most)| *limited == tier && count >= *most) {
        true => Err(AwsError::new(
            "ParameterLimitExceeded",
            "You have exceeded the number of parameters for this Amazon Web Services account. \
             Delete one or more parameters and try again.",
        )),
        false => Ok(()),
    }
}

fn checked_value(input: &Map<String, Value>) -> Result<&str, AwsError> {
    if str_of(input, "Value") == Some("") {
        return Err(AwsError::validation(
            "1 validation error detected: Value '' at 'value' failed to satisfy constraint: Member \
             must have length greater than or equal to 1.",
        ));
    }
    let value = required(input, "Value")?;
    let nested = regex::Regex::new(r"\{\{[^{}]*\}\}").is_ok_and(|nested| nested.is_match(value));
    match nested {
        true => Err(AwsError::validation(
            "Parameter value can't nest another parameter. Do not use \"{{}}\" in the value.",
        )),
        false => Ok(value),
    }
}

fn kind_of(input: &Map<String, Value>, known: Option<&Parameter>) -> Result<String, AwsError> {
    let kind = match (str_of(input, "Type"), known) {
        (None, Some(parameter)) => return Ok(parameter.kind.clone()),
        (None, None) => {
            let text = "A parameter type is required when you create a parameter.";
            return Err(AwsError::validation(text));
        }
        (Some(kind), _) => kind,
    };
    if !matches!(kind, "String" | "StringList" | "SecureString") {
        return Err(AwsError::validation(format!(
            "1 validation error detected: Value '{kind}' at 'type' failed to satisfy constraint: \
             Member must satisfy enum value set: [SecureString, StringList, String]"
        )));
    }
    match known {
        Some(parameter) if parameter.kind != kind => Err(AwsError::new(
            "HierarchyTypeMismatchException",
            "Parameter Store doesn't support changing a parameter type in a hierarchy. For \
             example, you can't change a parameter from a String type to a SecureString type. \
             You must create a new, unique parameter.",
        )),
        _ => Ok(kind.to_owned()),
    }
}

fn next_version(
    store: &Store<'_>,
    input: &Map<String, Value>,
    kind: &str,
    value: &str,
    before: Option<&Version>,
    env: &Env,
) -> Result<Version, AwsError> {
    let kept = |name: &str, old: Option<&Option<String>>| {
        str_of(input, name).map(str::to_owned).or_else(|| old.cloned().flatten())
    };
    let description = kept("Description", before.map(|v| &v.description));
    if description.as_ref().is_some_and(|text| text.chars().count() > DESCRIPTION_LIMIT) {
        return Err(AwsError::validation(format!(
            "1 validation error detected: Value at 'description' failed to satisfy constraint: \
             Member must have length less than or equal to {DESCRIPTION_LIMIT}"
        )));
    }
    let allowed_pattern = kept("AllowedPattern", before.map(|v| &v.allowed_pattern));
    check_pattern(allowed_pattern.as_deref(), value)?;
    let data_type =
        str_of(input, "DataType").or(before.map(|v| v.data_type.as_str())).unwrap_or("text");
    if !matches!(data_type, "text" | "aws:ec2:image" | "aws:ssm:integration") {
        let text = format!("The following data type is not supported: {data_type}");
        return Err(AwsError::validation(text));
    }
    Ok(Version {
        version: before.map_or(1, |v| v.version + 1),
        value: value.to_owned(),
        description: description.filter(|text| !text.is_empty()),
        key_id: key_of(store, input, kind, before)?,
        tier: tier_of(input, value, before)?,
        allowed_pattern: allowed_pattern.filter(|text| !text.is_empty()),
        policies: kept("Policies", before.map(|v| &v.policies)),
        data_type: data_type.to_owned(),
        modified: epoch_seconds(env.now),
        user: store.user.to_owned(),
        labels: Vec::new(),
    })
}

fn check_pattern(pattern: Option<&str>, value: &str) -> Result<(), AwsError> {
    let Some(pattern) = pattern.filter(|pattern| !pattern.is_empty()) else { return Ok(()) };
    let regex = regex::Regex::new(pattern).map_err(|_| {
        let text = "The request does not meet the regular expression requirement.";
        AwsError::new("InvalidAllowedPatternException", text)
    })?;
    match regex.is_match(value) {
        true => Ok(()),
        false => {
            let text =
                format!("Parameter value, cannot be validated against allowedPattern: {pattern}");
            Err(AwsError::new("ParameterPatternMismatchException", text))
        }
    }
}

/// The key of a SecureString: a key that exists, by default the one of SSM.
fn key_of(
    store: &Store<'_>,
    input: &Map<String, Value>,
    kind: &str,
    before: Option<&Version>,
) -> Result<Option<String>, AwsError> {
    let asked = str_of(input, "KeyId").filter(|key| !key.is_empty());
    if kind != "SecureString" {
        return match asked {
            None => Ok(None),
            Some(_) => {
                let text = "KeyId is only supported for parameters of type SecureString.";
                Err(AwsError::validation(text))
            }
        };
    }
    let Some(asked) = asked else {
        let kept = before.and_then(|v| v.key_id.clone());
        return Ok(Some(kept.unwrap_or_else(|| "alias/aws/ssm".to_owned())));
    };
    let arn = format!("arn:aws:kms:{}:{}:", store.region, store.account);
    let local = asked.strip_prefix(&arn).unwrap_or(asked);
    let known = local == "alias/aws/ssm"
        || store.kms.iter().any(|key| {
            key.alias == local || key.id == local || local.strip_prefix("key/") == Some(&key.id)
        });
    match known {
        true => Ok(Some(asked.to_owned())),
        false => {
            let text = format!("Invalid keyId {asked}");
            Err(AwsError::new("InvalidKeyId", text))
        }
    }
}

/// The tier that results: Advanced never goes back to Standard.
fn tier_of(
    input: &Map<String, Value>,
    value: &str,
    before: Option<&Version>,
) -> Result<String, AwsError> {
    let length = value.len();
    let before = before.map(|v| v.tier.as_str());
    let asked = str_of(input, "Tier").or(before).unwrap_or("Standard");
    let advanced = length > STANDARD_LIMIT
        || str_of(input, "Policies").is_some_and(|policies| !matches!(policies, "" | "[]"));
    let tier = match asked {
        "Standard" if before == Some("Advanced") => {
            return Err(AwsError::validation(
                "This parameter uses the advanced-parameter tier. You can't downgrade a parameter \
                 from the advanced-parameter tier to the standard-parameter tier. If necessary, \
                 you can delete the advanced parameter and recreate it as a standard parameter.",
            ));
        }
        "Standard" if advanced => {
            return Err(AwsError::validation(format!(
                "Standard tier parameters support a maximum parameter value of {STANDARD_LIMIT} \
                 characters. To create a larger parameter value, upgrade the parameter to use the \
                 advanced-parameter tier. For more information, see \
                 https://docs.aws.amazon.com/systems-manager/latest/userguide/\
                 parameter-store-advanced-parameters.html"
            )));
        }
        "Standard" => "Standard",
        "Advanced" => "Advanced",
        "Intelligent-Tiering" if advanced || before == Some("Advanced") => "Advanced",
        "Intelligent-Tiering" => "Standard",
        tier => {
            return Err(AwsError::validation(format!(
                "1 validation error detected: Value '{tier}' at 'tier' failed to satisfy \
                 constraint: Member must satisfy enum value set: [Standard, Advanced, \
                 Intelligent-Tiering]"
            )));
        }
    };
    match length > ADVANCED_LIMIT {
        true => Err(AwsError::validation(format!(
            "Advanced tier parameters support a maximum parameter value of {ADVANCED_LIMIT} \
             characters."
        ))),
        false => Ok(tier.to_owned()),
    }
}

/// `DeleteParameter`.
pub fn delete(store: &mut Store<'_>, input: &Map<String, Value>, env: &Env) -> Outcome {
    let (name, _) = names::selector(store, required(input, "Name")?);
    match take_away(store, &name, env) {
        true => Ok(json!({})),
        false => Err(not_found(&name)),
    }
}

/// Deletes a parameter; whether there was one.
fn take_away(store: &mut Store<'_>, name: &str, env: &Env) -> bool {
    let there = store.parameters.remove(name).is_some();
    if there && env.quirks.has(Quirk::SlowDeletes) {
        store.deleted.insert(store.arn(name), env.now);
    }
    there
}

/// Whether the name of a deleted parameter is not free yet.
fn is_going(store: &mut Store<'_>, name: &str, env: &Env) -> bool {
    let arn = store.arn(name);
    let lasts = env.quirks.lasts(Quirk::SlowDeletes).unwrap_or_default();
    let lasts = SignedDuration::try_from(lasts).unwrap_or_default();
    let going = store.deleted.get(&arn).is_some_and(|at| env.now.duration_since(*at) < lasts);
    if !going {
        store.deleted.remove(&arn);
    }
    going
}

/// `DeleteParameters`.
pub fn delete_several(store: &mut Store<'_>, input: &Map<String, Value>, env: &Env) -> Outcome {
    let names = one_to_ten(input)?;
    let (mut deleted, mut invalid) = (Vec::new(), Vec::new());
    for text in names {
        let (name, _) = names::selector(store, text);
        match take_away(store, &name, env) {
            true => deleted.push(text),
            false => invalid.push(text),
        }
    }
    Ok(json!({ "DeletedParameters": deleted, "InvalidParameters": invalid }))
}

/// The names of a call that takes 1 to 10.
pub fn one_to_ten(input: &Map<String, Value>) -> Result<Vec<&str>, AwsError> {
    let names = strings(input, "Names");
    match names.len() {
        1..=10 => Ok(names),
        count => Err(AwsError::validation(format!(
            "1 validation error detected: Value '[{}]' at 'names' failed to satisfy constraint: \
             Member must have length {}",
            names.join(", "),
            if count == 0 { "greater than or equal to 1" } else { "less than or equal to 10" },
        ))),
    }
}

/// The refusal of a name that no parameter has; AWS says no more than the type.
pub fn not_found(name: &str) -> AwsError {
    AwsError::new("ParameterNotFound", format!("Parameter {name} not found."))
}
