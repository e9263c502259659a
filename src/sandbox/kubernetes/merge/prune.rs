//! Takes out of a merged object what its applier dropped and nobody else owns.

use serde_json::{Map, Value};

use super::fieldset::{FieldSet, PathElement};
use super::managers::Managers;
use super::schema::{Relation, Shape, Type, TypeRef};
use super::typed::{item_step, to_field_set};

/// The merged object less the fields of `last` (the applier's former set) that no manager owns
/// now. `managers` has the applier's new set.
pub(super) fn prune(of: &TypeRef, merged: Value, managers: &Managers, last: &FieldSet) -> Value {
    let fields = |value: &Value| with_named_parents(of, &to_field_set(of, value));
    let last = with_named_parents(of, last);
    let pruned = remove_items(of, &merged, &last);

    // What others, or the applier's new configuration, own comes back,
    let owned = managers.0.values().fold(FieldSet::default(), |all, entry| all.union(&entry.set));
    let kept = fields(&pruned).union(&with_named_parents(of, &owned));
    let pruned = remove_items(of, &merged, &fields(&merged).difference(&kept));

    // and what was never the applier's does as well.
    let lost = fields(&merged).difference(&fields(&pruned)).intersection(&last);
    remove_items(of, &merged, &lost)
}

/// The set with the declared fields on the way to its members as members: owning `.a.b` of a
/// struct `a` includes owning the struct, which a map's keys don't.
fn with_named_parents(of: &TypeRef, set: &FieldSet) -> FieldSet {
    let resolved = of.resolve();
    let mut out = FieldSet::default();
    for step in set.members() {
        out.add_member(step.clone());
    }
    for (step, below) in set.children() {
        let mut of_step = TypeRef::deduced();
        match (step, &*resolved) {
            (PathElement::Field(name), Type::Map(map)) => {
                if map.fields.contains_key(name) {
                    out.add_member(step.clone());
                }
                of_step = map.field(name).cloned().unwrap_or(of_step);
            }
            (PathElement::Key(_), Type::List(list)) => of_step = list.item.clone(),
            _ => {}
        }
        out.add_child(step.clone(), with_named_parents(&of_step, below));
    }
    out
}

/// The value less the members of the set; null where nothing is left of a list or map.
fn remove_items(of: &TypeRef, value: &Value, set: &FieldSet) -> Value {
    let resolved = of.resolve();
    match (resolved.shape(Some(value)), value) {
        (Shape::List(list), Value::Array(items)) if list.relation != Relation::Atomic => {
            let mut left = Vec::new();
            for (index, item) in items.iter().enumerate() {
                match item_step(list, index, item) {
                    Ok(step) if set.has(&step) => {}
                    Ok(step) => left.push(remove_below(&list.item, item, set.child(&step))),
                    Err(_) => left.push(item.clone()),
                }
            }
            if left.is_empty() { Value::Null } else { Value::Array(left) }
        }
        (Shape::Map(map), Value::Object(entries)) if !map.atomic => {
            let deduced = TypeRef::deduced();
            let mut left = Map::new();
            for (name, entry) in entries {
                let step = PathElement::field(name);
                if !set.has(&step) {
                    let of = map.field(name).unwrap_or(&deduced);
                    left.insert(name.clone(), remove_below(of, entry, set.child(&step)));
                }
            }
            if left.is_empty() { Value::Null } else { Value::Object(left) }
        }
        _ => value.clone(),
    }
}

fn remove_below(of: &TypeRef, value: &Value, set: Option<&FieldSet>) -> Value {
    set.map_or_else(|| value.clone(), |set| remove_items(of, value, set))
}
