//! Operations that read parameters.

use base64::prelude::*;
use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};

use super::labels::version_not_found;
use super::names::selector;
use super::write::{not_found, one_to_ten};
use super::{AwsError, Outcome, Parameter, Store, Version, flag, required, str_of, strings};

/// `GetParameter`.
pub fn get(store: &Store<'_>, input: &Map<String, Value>) -> Outcome {
    let text = required(input, "Name")?;
    let shown = selected(store, text, flag(input, "WithDecryption"))?;
    Ok(json!({ "Parameter": shown }))
}

/// `GetParameters`.
pub fn get_several(store: &Store<'_>, input: &Map<String, Value>) -> Outcome {
    let names = one_to_ten(input)?;
    if names.iter().enumerate().any(|(at, name)| names[..at].contains(name)) {
        return Err(AwsError::validation("Duplicate parameter names are not allowed."));
    }
    let (mut parameters, mut invalid) = (Vec::new(), Vec::new());
    for name in names {
        match selected(store, name, flag(input, "WithDecryption")) {
            Ok(shown) => parameters.push(shown),
            Err(error) if error.kind.ends_with("NotFound") => invalid.push(name),
            Err(error) => return Err(error),
        }
    }
    Ok(json!({ "Parameters": parameters, "InvalidParameters": invalid }))
}

fn selected(store: &Store<'_>, text: &str, decrypt: bool) -> Outcome {
    let (name, wanted) = selector(store, text);
    let parameter = store.parameters.get(&name).ok_or_else(|| not_found(&name))?;
    let version = match wanted {
        None => parameter.latest(),
        Some(wanted) => parameter.versions.iter().find(|version| {
            let named = version.labels.iter().any(|label| label == wanted);
            named || wanted.parse::<u64>() == Ok(version.version)
        }),
    };
    let version = version.ok_or_else(|| version_not_found(wanted.unwrap_or_default(), &name))?;
    let mut shown = value_shown(store, &name, parameter, version, decrypt)?;
    if let Some(wanted) = wanted {
        shown["Selector"] = json!(format!(":{wanted}"));
    }
    Ok(shown)
}

fn value_shown(
    store: &Store<'_>,
    name: &str,
    parameter: &Parameter,
    version: &Version,
    decrypt: bool,
) -> Outcome {
    Ok(json!({
        "ARN": store.arn(name), "DataType": version.data_type,
        "LastModifiedDate": version.modified, "Name": name, "Type": parameter.kind,
        "Value": value_of(store, name, parameter, version, decrypt)?, "Version": version.version,
    }))
}

/// The value; of a SecureString without decryption, an opaque ciphertext.
fn value_of(
    store: &Store<'_>,
    name: &str,
    parameter: &Parameter,
    version: &Version,
    decrypt: bool,
) -> Result<String, AwsError> {
    if parameter.kind != "SecureString" {
        return Ok(version.value.clone());
    }
    // The policy of SSM's own key lets everybody in the account use it through SSM.
    let own_key = version.key_id.as_deref().is_none_or(|key| key.ends_with("alias/aws/ssm"));
    if decrypt && store.read_only && !own_key {
        return Err(AwsError::new(
            "AccessDeniedException",
            "The ciphertext refers to a customer master key that does not exist, does not exist \
             in this region, or you are not allowed to access.",
        ));
    }
    if decrypt {
        return Ok(version.value.clone());
    }
    let mut blob = vec![1, 2, 2, 0];
    for part in 0_u8..5 {
        let mut hash = Sha256::new();
        hash.update(store.salt.as_bytes());
        hash.update(name.as_bytes());
        hash.update(version.version.to_be_bytes());
        hash.update([part]);
        blob.extend_from_slice(&hash.finalize());
    }
    Ok(BASE64_STANDARD.encode(blob))
}

/// `GetParametersByPath`.
pub fn by_path(store: &Store<'_>, input: &Map<String, Value>) -> Outcome {
    let path = required(input, "Path")?;
    if !path.starts_with('/') {
        return Err(AwsError::validation(
            "The parameter doesn't meet the parameter name requirements. The parameter name must \
             begin with a forward slash \"/\".",
        ));
    }
    let recursive = flag(input, "Recursive");
    let decrypt = flag(input, "WithDecryption");
    let filters = filters(input, &["Type", "KeyId", "Label"])?;
    let rows = store
        .parameters
        .iter()
        .filter(|(name, _)| under(name, path, recursive))
        .filter(|(name, parameter)| filters.iter().all(|f| f.fits(name, parameter)))
        .filter_map(|(name, parameter)| Some((name, parameter, parameter.latest()?)))
        .map(|(name, parameter, version)| {
            Ok((name, value_shown(store, name, parameter, version, decrypt)?))
        })
        .collect::<Result<Vec<_>, AwsError>>()?;
    paged(store, rows, input, "Parameters", 10)
}

fn under(name: &str, path: &str, recursive: bool) -> bool {
    let base = path.trim_end_matches('/');
    match name.strip_prefix(base).and_then(|rest| rest.strip_prefix('/')) {
        Some(rest) => recursive || !rest.contains('/'),
        // A name without a hierarchy is at the root.
        None => base.is_empty() && !name.contains('/'),
    }
}

/// `DescribeParameters`.
pub fn describe(store: &Store<'_>, input: &Map<String, Value>) -> Outcome {
    let keys = ["Name", "Type", "KeyId", "Path", "Tier", "DataType"];
    let filters = filters(input, &keys)?;
    let known: Vec<(&String, Parameter)> = store
        .parameters
        .iter()
        .map(|(name, parameter)| (name, as_described(store, parameter)))
        .filter(|(name, parameter)| filters.iter().all(|f| f.fits(name, parameter)))
        .collect();
    let rows: Vec<(&String, Value)> = known
        .iter()
        .filter_map(|(name, parameter)| {
            let version = parameter.latest()?;
            let mut shown = described(name, parameter, version);
            shown["ARN"] = json!(store.arn(name));
            Some((*name, shown))
        })
        .collect();
    paged(store, rows, input, "Parameters", 50)
}

/// The parameter with the versions that descriptions know of.
fn as_described(store: &Store<'_>, parameter: &Parameter) -> Parameter {
    let mut parameter = parameter.clone();
    parameter.versions.retain(|version| version.modified <= store.described_until);
    parameter
}

fn described(name: &str, parameter: &Parameter, version: &Version) -> Value {
    let mut shown = json!({ "Name": name, "Type": parameter.kind });
    for (member, value) in [
        ("KeyId", &version.key_id),
        ("Description", &version.description),
        ("AllowedPattern", &version.allowed_pattern),
    ] {
        if let Some(value) = value {
            shown[member] = json!(value);
        }
    }
    shown["LastModifiedDate"] = json!(version.modified);
    shown["LastModifiedUser"] = json!(version.user);
    shown["Version"] = json!(version.version);
    shown["Tier"] = json!(version.tier);
    shown["Policies"] = json!([]);
    shown["DataType"] = json!(version.data_type);
    shown
}

/// `GetParameterHistory`.
pub fn history(store: &Store<'_>, input: &Map<String, Value>) -> Outcome {
    let (name, _) = selector(store, required(input, "Name")?);
    let parameter = store.parameters.get(&name).ok_or_else(|| not_found(&name))?;
    let decrypt = flag(input, "WithDecryption");
    let keys: Vec<String> =
        parameter.versions.iter().map(|version| format!("{:010}", version.version)).collect();
    let rows = parameter
        .versions
        .iter()
        .zip(&keys)
        .map(|(version, key)| {
            let mut shown = described(&name, parameter, version);
            shown["Value"] = json!(value_of(store, &name, parameter, version, decrypt)?);
            shown["Labels"] = json!(version.labels);
            Ok((key, shown))
        })
        .collect::<Result<Vec<_>, AwsError>>()?;
    paged(store, rows, input, "Parameters", 50)
}

/// The page that `NextToken` and `MaxResults` ask for; rows are in the order of their keys.
fn paged(
    store: &Store<'_>,
    rows: Vec<(&String, Value)>,
    input: &Map<String, Value>,
    member: &str,
    most: usize,
) -> Outcome {
    let size = match input.get("MaxResults").filter(|size| !size.is_null()) {
        None => most,
        Some(size) => size
            .as_u64()
            .and_then(|n| usize::try_from(n).ok())
            .filter(|n| (1..=most).contains(n))
            .ok_or_else(|| {
                AwsError::validation(format!(
                    "1 validation error detected: Value '{size}' at 'maxResults' failed to \
                         satisfy constraint: Member must have value between 1 and {most}"
                ))
            })?,
    };
    let after = match str_of(input, "NextToken").filter(|token| !token.is_empty()) {
        None => None,
        Some(token) => {
            let bytes = BASE64_STANDARD.decode(token).ok();
            let key = bytes.and_then(|bytes| String::from_utf8(bytes).ok());
            let invalid = || AwsError::new("InvalidNextToken", "The specified token isn't valid.");
            let key = key.as_deref().and_then(|key| key.strip_prefix('>'));
            Some(key.ok_or_else(invalid)?.to_owned())
        }
    };
    // A page may hold less than it could, and nothing at all.
    if store.short_pages && after.is_none() && !rows.is_empty() {
        return Ok(json!({ member: [], "NextToken": BASE64_STANDARD.encode(">") }));
    }
    let size = if store.short_pages { size.div_ceil(2) } else { size };
    let mut rest =
        rows.into_iter().filter(|(key, _)| after.as_ref().is_none_or(|after| *key > after));
    let mut page = Vec::new();
    let mut last = None;
    for (key, row) in rest.by_ref().take(size) {
        page.push(row);
        last = Some(key);
    }
    let more = rest.next().is_some();
    let mut answer = json!({ member: page });
    if let (true, Some(last)) = (more, last) {
        answer["NextToken"] = json!(BASE64_STANDARD.encode(format!(">{last}")));
    }
    Ok(answer)
}

struct Filter<'a> {
    key: &'a str,
    option: &'a str,
    values: Vec<&'a str>,
}

/// The filters of a call that takes these keys; all but one by path take tags, too.
fn filters<'a>(input: &'a Map<String, Value>, keys: &[&str]) -> Result<Vec<Filter<'a>>, AwsError> {
    let list = |name: &str| {
        input.get(name).and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default()
    };
    let mut filters = Vec::new();
    for filter in list("ParameterFilters").iter().chain(list("Filters")) {
        let wrong = || AwsError::new("InvalidFilterKey", "The specified key isn't valid.");
        let filter = filter.as_object().ok_or_else(wrong)?;
        let key = str_of(filter, "Key").ok_or_else(wrong)?;
        let option = str_of(filter, "Option").unwrap_or(match key {
            "Path" => "OneLevel",
            _ => "Equals",
        });
        let tags = keys.contains(&"Name") && key.starts_with("tag:");
        let known = keys.contains(&key) || tags;
        let options: &[&str] = match key {
            "Name" => &["Equals", "BeginsWith", "Contains"],
            "Path" => &["OneLevel", "Recursive"],
            _ => &["Equals", "BeginsWith"],
        };
        if !known {
            return Err(wrong());
        }
        if !options.contains(&option) {
            let text = format!("The filter option {option} is not valid for {key}.");
            return Err(AwsError::new("InvalidFilterOption", text));
        }
        let values = strings(filter, "Values");
        if (values.is_empty() && !key.starts_with("tag:")) || values.len() > 50 {
            let text = format!("The filter {key} needs 1 to 50 values.");
            return Err(AwsError::new("InvalidFilterValue", text));
        }
        filters.push(Filter { key, option, values });
    }
    Ok(filters)
}

impl Filter<'_> {
    fn fits(&self, name: &str, parameter: &Parameter) -> bool {
        let Some(version) = parameter.latest() else { return false };
        let text = match self.key {
            "Path" => {
                return self
                    .values
                    .iter()
                    .any(|path| under(name, path, self.option == "Recursive"));
            }
            "Label" => {
                return self.values.iter().any(|value| version.labels.iter().any(|l| l == value));
            }
            "Name" => Some(name),
            "Type" => Some(parameter.kind.as_str()),
            "KeyId" => version.key_id.as_deref(),
            "Tier" => Some(version.tier.as_str()),
            "DataType" => Some(version.data_type.as_str()),
            key => {
                let tag = key.strip_prefix("tag:").and_then(|key| parameter.tags.get(key));
                if self.values.is_empty() {
                    return tag.is_some();
                }
                tag.map(String::as_str)
            }
        };
        let Some(text) = text else { return false };
        // Names are the same with and without the leading slash of a root parameter.
        let bare = text.strip_prefix('/').unwrap_or(text);
        self.values.iter().any(|value| {
            let value = match self.key {
                "Name" => value.strip_prefix('/').unwrap_or(value),
                _ => value,
            };
            let text = if self.key == "Name" { bare } else { text };
            match self.option {
                "BeginsWith" => text.starts_with(value),
                "Contains" => text.contains(value),
                _ => text == value,
            }
        })
    }
}
