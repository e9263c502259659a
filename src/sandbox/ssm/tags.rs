//! Tags of parameters.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::{AwsError, Outcome, Parameter, Store, required, str_of, strings};

/// Tags that a parameter may have.
const LIMIT: usize = 50;

/// The member `Tags`, checked.
pub fn read(input: &Map<String, Value>) -> Result<BTreeMap<String, String>, AwsError> {
    let mut tags = BTreeMap::new();
    let list = input.get("Tags").and_then(Value::as_array);
    for tag in list.into_iter().flatten() {
        let pair =
            tag.as_object().and_then(|tag| Some((str_of(tag, "Key")?, str_of(tag, "Value")?)));
        let fits = |(key, value): &(&str, &str)| {
            (1..=128).contains(&key.chars().count())
                && value.chars().count() <= 256
                && !key.to_ascii_lowercase().starts_with("aws:")
        };
        let Some((key, value)) = pair.filter(fits) else {
            let text = "Tag keys have 1 to 128 characters and must not start with aws:; tag \
                        values have at most 256.";
            return Err(AwsError::validation(text));
        };
        if tags.insert(key.to_owned(), value.to_owned()).is_some() {
            let text = format!("Duplicate tag key {key}");
            return Err(AwsError::validation(text));
        }
    }
    check_count(tags.len())?;
    Ok(tags)
}

fn check_count(count: usize) -> Result<(), AwsError> {
    match count > LIMIT {
        true => {
            let text = format!("A parameter can have at most {LIMIT} tags.");
            Err(AwsError::new("TooManyTagsError", text))
        }
        false => Ok(()),
    }
}

/// The name of the parameter a tag operation means.
fn resource<'a>(store: &Store<'_>, input: &'a Map<String, Value>) -> Result<&'a str, AwsError> {
    let kind = required(input, "ResourceType")?;
    if kind != "Parameter" {
        let text = format!("{kind} is not a valid resource type.");
        return Err(AwsError::new("InvalidResourceType", text));
    }
    let id = required(input, "ResourceId")?;
    match store.parameters.contains_key(id) {
        true => Ok(id),
        false => {
            let text =
                format!("The resource ID \"{id}\" is not valid. Verify the ID and try again.");
            Err(AwsError::new("InvalidResourceId", text))
        }
    }
}

/// `AddTagsToResource`.
pub fn add(store: &mut Store<'_>, input: &Map<String, Value>) -> Outcome {
    let name = resource(store, input)?;
    let tags = read(input)?;
    if let Some(parameter) = store.parameters.get_mut(name) {
        let mut all = parameter.tags.clone();
        all.extend(tags);
        check_count(all.len())?;
        parameter.tags = all;
    }
    Ok(json!({}))
}

/// `RemoveTagsFromResource`.
pub fn remove(store: &mut Store<'_>, input: &Map<String, Value>) -> Outcome {
    let name = resource(store, input)?;
    let keys = strings(input, "TagKeys");
    if let Some(parameter) = store.parameters.get_mut(name) {
        parameter.tags.retain(|key, _| !keys.contains(&key.as_str()));
    }
    Ok(json!({}))
}

/// `ListTagsForResource`.
pub fn list(store: &Store<'_>, input: &Map<String, Value>) -> Outcome {
    let name = resource(store, input)?;
    let shown = |parameter: &Parameter| -> Vec<Value> {
        parameter.tags.iter().map(|(key, value)| json!({ "Key": key, "Value": value })).collect()
    };
    Ok(json!({ "TagList": store.parameters.get(name).map(shown) }))
}
