//! The two writes: server-side apply, and every other one.

use serde_json::{Value, json};

use super::combine::{merge, without_nulls};
use super::conflict::{ApplyError, Conflict};
use super::fieldset::{FieldSet, spell};
use super::managers::{Manager, ManagerEntry, Managers, Operation};
use super::prune::prune;
use super::schema::Schema;
use super::typed::{self, Comparison};
use super::validate::{Problem, validate};

/// The paths that are the server's own: no manager owns them.
const UNOWNED: &[&[&str]] = &[
    &["apiVersion"],
    &["kind"],
    &["metadata"],
    &["metadata", "name"],
    &["metadata", "namespace"],
    &["metadata", "creationTimestamp"],
    &["metadata", "selfLink"],
    &["metadata", "uid"],
    &["metadata", "clusterName"],
    &["metadata", "generation"],
    &["metadata", "managedFields"],
    &["metadata", "resourceVersion"],
];

/// Who owns what an object had before anyone was tracked.
const BEFORE_FIRST_APPLY: &str = "before-first-apply";

/// Who applies, and how.
#[derive(Debug, Clone, Copy)]
pub struct Applier<'a> {
    /// The field manager's name.
    pub manager: &'a str,
    /// `apiVersion` of the request, such as `apps/v1`.
    pub api_version: &'a str,
    /// The subresource written to, empty for the object itself.
    pub subresource: &'a str,
    /// Takes over fields that others own with another value.
    pub force: bool,
    /// RFC 3339 time of the write, in whole seconds.
    pub now: &'a str,
    /// Fields that this endpoint resets, so that nobody gets to own them by it: see
    /// [`reset_fields`].
    pub reset: &'a FieldSet,
}

/// Who updates.
#[derive(Debug, Clone, Copy)]
pub struct Updater<'a> {
    /// The field manager's name.
    pub manager: &'a str,
    /// `apiVersion` of the request, such as `apps/v1`.
    pub api_version: &'a str,
    /// The subresource written to, empty for the object itself.
    pub subresource: &'a str,
    /// RFC 3339 time of the write, in whole seconds.
    pub now: &'a str,
    /// Fields that this endpoint resets: see [`reset_fields`].
    pub reset: &'a FieldSet,
}

/// What an apply makes.
#[derive(Debug, Clone)]
pub struct Merged {
    /// The merged object, without `metadata.managedFields` and without defaults.
    pub object: Value,
    /// Who owns what now.
    pub managers: Managers,
    /// Whether the object differs from the live one.
    pub changed: bool,
}

/// The fields that an endpoint of a kind with a status subresource resets: `status` when the
/// object itself is written, everything else when its status is.
pub fn reset_fields(subresource: &str) -> FieldSet {
    match subresource {
        "" => FieldSet::of_fields(&[&["status"]]),
        "status" => FieldSet::of_fields(&[&["spec"], &["metadata", "labels"]]),
        _ => FieldSet::default(),
    }
}

/// Server-side apply of `config`. `live` is none on create.
///
/// # Errors
/// [`ApplyError::Typed`] where the configuration is not of the kind's type,
/// [`ApplyError::Conflict`] where others own what it wants changed and it is not forced.
pub fn apply(
    schema: &Schema,
    live: Option<&Value>,
    managers: &Managers,
    config: &Value,
    by: &Applier<'_>,
) -> Result<Merged, ApplyError> {
    let problems = validate(&schema.root, config);
    if !problems.is_empty() {
        return Err(ApplyError::Typed(typed_message(config, &problems)));
    }
    let mut former = managers.clone();
    if let Some(live) = live.filter(|_| managers.is_empty()) {
        let untracked = Updater {
            manager: BEFORE_FIRST_APPLY,
            api_version: by.api_version,
            subresource: by.subresource,
            now: by.now,
            reset: by.reset,
        };
        former = update(schema, None, live, managers, &untracked);
    }
    let live = live.map_or_else(|| json!({}), without_managed_fields);
    let me = Manager {
        name: by.manager.to_owned(),
        operation: Operation::Apply,
        api_version: String::new(),
        subresource: by.subresource.to_owned(),
    };
    let last = former.0.get(&me).cloned();
    let set = typed::to_field_set(&schema.root, config).recursive_difference(by.reset);
    let mut now = former;
    now.0.insert(
        me.clone(),
        ManagerEntry {
            set,
            api_version: by.api_version.to_owned(),
            time: last.as_ref().and_then(|entry| entry.time.clone()),
        },
    );
    let merged = merge(&schema.root, Some(&live), Some(config)).unwrap_or_else(|| json!({}));
    let merged = match last {
        Some(last) if !last.set.is_empty() => prune(&schema.root, merged, &now, &last.set),
        _ => merged,
    };
    let compared = typed::compare(&schema.root, &live, &merged).without(by.reset);
    take_over(&mut now, &me, &compared, by.force)?;
    let changed = !typed::same(&merged, &live);
    finish(&mut now, &me, changed.then_some(by.now));
    let object = if changed { without_nulls(&schema.root, merged) } else { live };
    Ok(Merged { object, managers: now, changed })
}

/// Any other write (PUT, PATCH, POST): who owns what afterwards. `live` is none on create.
/// `managers` are those of [`Managers::of_write`].
pub fn update(
    schema: &Schema,
    live: Option<&Value>,
    new: &Value,
    managers: &Managers,
    by: &Updater<'_>,
) -> Managers {
    let live = live.map_or_else(|| schema.zero(), without_managed_fields);
    let new = without_managed_fields(new);
    let compared = typed::compare(&schema.root, &live, &new).without(by.reset);
    let mut now = managers.clone();
    for entry in now.0.values_mut() {
        entry.set = entry.set.difference(&compared.changed()).difference(&compared.removed);
    }
    let me = Manager {
        name: by.manager.to_owned(),
        operation: Operation::Update,
        api_version: by.api_version.to_owned(),
        subresource: by.subresource.to_owned(),
    };
    let taken = compared.changed().difference(&FieldSet::of_fields(UNOWNED));
    if !taken.is_empty() {
        let entry = now.0.entry(me).or_insert_with(|| ManagerEntry {
            set: FieldSet::default(),
            api_version: by.api_version.to_owned(),
            time: None,
        });
        entry.set = entry.set.union(&taken);
        // The server notes no time for writes that come through the scale.
        if by.subresource != "scale" {
            entry.time = Some(by.now.to_owned());
        }
    }
    now.0.retain(|_, entry| !entry.set.is_empty());
    now
}

/// Finds what others own and the write changes, and takes it from them; what the write removes
/// nobody owns any more.
fn take_over(
    managers: &mut Managers,
    me: &Manager,
    compared: &Comparison,
    force: bool,
) -> Result<(), ApplyError> {
    let changed = compared.changed();
    let others = || managers.0.iter().filter(|(manager, _)| *manager != me);
    let mut conflicts = Vec::new();
    for (manager, entry) in others().filter(|_| !force) {
        for path in entry.set.intersection(&changed).leaves().paths() {
            conflicts.push(Conflict { manager: manager.clone(), path: spell(&path) });
        }
    }
    if !conflicts.is_empty() {
        return Err(ApplyError::Conflict(conflicts));
    }
    for (manager, entry) in managers.0.iter_mut() {
        if manager != me {
            entry.set = entry.set.difference(&changed).difference(&compared.removed);
        }
    }
    Ok(())
}

/// Takes the server's own fields out of the writer's set, sets its time, drops empty managers.
fn finish(managers: &mut Managers, me: &Manager, time: Option<&str>) {
    if let Some(entry) = managers.0.get_mut(me) {
        entry.set = entry.set.difference(&FieldSet::of_fields(UNOWNED));
        if let Some(time) = time {
            entry.time = Some(time.to_owned());
        }
    }
    managers.0.retain(|_, entry| !entry.set.is_empty());
}

fn without_managed_fields(object: &Value) -> Value {
    let mut object = object.clone();
    if let Some(metadata) = object.get_mut("metadata").and_then(Value::as_object_mut) {
        metadata.shift_remove("managedFields");
    }
    object
}

fn typed_message(config: &Value, problems: &[Problem]) -> String {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let api_version = text(&config["apiVersion"]);
    let (group, version) = api_version.split_once('/').unwrap_or(("", &api_version));
    let spelled: Vec<_> = problems
        .iter()
        .map(|problem| match problem.path.as_slice() {
            [] => problem.text.clone(),
            path => format!("{}: {}", spell(path), problem.text),
        })
        .collect();
    let problems = match spelled.as_slice() {
        [only] => only.clone(),
        several => format!("errors:\n  {}", several.join("\n  ")),
    };
    format!(
        "failed to create typed patch object ({}/{}; {group}/{version}, Kind={}): {problems}",
        text(&config["metadata"]["namespace"]),
        text(&config["metadata"]["name"]),
        text(&config["kind"]),
    )
}

#[cfg(test)]
mod tests {
    use super::super::fieldset::PathElement;
    use super::*;

    const NOW: &str = "2026-11-22T22:00:00Z";

    fn updated(schema: &Schema, live: Option<&Value>, new: &Value, subresource: &str) -> Value {
        let reset = reset_fields(subresource);
        let updater = Updater {
            manager: "editor",
            api_version: "apps/v1",
            subresource,
            now: NOW,
            reset: &reset,
        };
        let managers = Managers::of_write(new, live);
        let mut object = new.clone();
        update(schema, live, new, &managers, &updater).write_to(&mut object);
        object
    }

    fn deployment() -> Value {
        json!({
            "apiVersion": "apps/v1", "kind": "Deployment",
            "metadata": {"name": "x", "namespace": "default", "labels": {"app": "x"}},
            "spec": {
                "replicas": 1,
                "selector": {"matchLabels": {"app": "x"}},
                "strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": "25%"}},
                "template": {
                    "metadata": {"labels": {"app": "x"}},
                    "spec": {
                        "containers": [{"name": "c", "image": "i", "env": [{"name": "A", "value": "1"}]}],
                        "volumes": [{"name": "v", "emptyDir": {}}],
                    },
                },
            },
            "status": {"replicas": 1},
        })
    }

    #[test]
    fn who_creates_owns_what_the_servers_types_do_not_hold_anyway() {
        let schema = Schema::built_in("apps", "v1", "Deployment").expect("a built-in kind");
        let created = updated(&schema, None, &deployment(), "");
        assert_eq!(
            created["metadata"]["managedFields"],
            json!([{
                "manager": "editor", "operation": "Update", "apiVersion": "apps/v1", "time": NOW,
                "fieldsType": "FieldsV1",
                "fieldsV1": {
                    "f:metadata": {"f:labels": {".": {}, "f:app": {}}},
                    "f:spec": {
                        "f:replicas": {},
                        "f:selector": {},
                        "f:strategy": {
                            "f:rollingUpdate": {".": {}, "f:maxSurge": {}},
                            "f:type": {},
                        },
                        "f:template": {
                            "f:metadata": {"f:labels": {".": {}, "f:app": {}}},
                            "f:spec": {
                                "f:containers": {"k:{\"name\":\"c\"}": {
                                    ".": {},
                                    "f:env": {
                                        ".": {},
                                        "k:{\"name\":\"A\"}": {".": {}, "f:name": {}, "f:value": {}},
                                    },
                                    "f:image": {},
                                    "f:name": {},
                                }},
                                "f:volumes": {
                                    ".": {},
                                    "k:{\"name\":\"v\"}": {".": {}, "f:emptyDir": {}, "f:name": {}},
                                },
                            },
                        },
                    },
                },
            }])
        );
    }

    #[test]
    fn the_same_name_on_a_subresource_is_another_manager() {
        let schema = Schema::built_in("apps", "v1", "Deployment").expect("a built-in kind");
        let live = updated(&schema, None, &deployment(), "");
        let mut ready = live.clone();
        ready["status"]["readyReplicas"] = 1.into();
        let ready = updated(&schema, Some(&live), &ready, "status");
        let mut scaled = ready.clone();
        scaled["spec"]["replicas"] = 3.into();
        let scaled = updated(&schema, Some(&ready), &scaled, "scale");

        let managers = Managers::of(&scaled);
        let owners = |path: &[&str]| -> Vec<String> {
            let path: Vec<_> = path.iter().map(|name| PathElement::field(name)).collect();
            let owners = managers.iter().filter(|(_, entry)| entry.set.contains(&path));
            owners.map(|(manager, _)| manager.to_string()).collect()
        };
        assert_eq!(
            owners(&["spec", "replicas"]),
            ["\"editor\" with subresource \"scale\" using apps/v1"]
        );
        assert_eq!(
            owners(&["status", "readyReplicas"]),
            ["\"editor\" with subresource \"status\" using apps/v1"]
        );
        assert_eq!(owners(&["spec", "strategy", "type"]), ["\"editor\" using apps/v1"]);
    }

    #[test]
    fn an_update_that_changes_nothing_leaves_times_alone() {
        let schema = Schema::built_in("apps", "v1", "Deployment").expect("a built-in kind");
        let mut live = updated(&schema, None, &deployment(), "");
        live["metadata"]["managedFields"][0]["time"] = "2026-01-01T00:00:00Z".into();
        assert_eq!(updated(&schema, Some(&live), &live, ""), live);
    }
}
