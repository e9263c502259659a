//! The type of a kind as structured merge sees it: scalars, lists and maps, and how each merges.

use std::collections::HashMap;
use std::sync::{Arc, LazyLock};

use serde_json::{Map, Value, json};

/// Type information of one kind.
#[derive(Debug, Clone)]
pub struct Schema {
    pub(super) root: TypeRef,
}

/// A type by name in the built-in table, or in place; `atomic` overrides how a named map merges.
#[derive(Debug, Clone)]
pub(super) enum TypeRef {
    Named { name: Arc<str>, atomic: Option<bool> },
    Inline(Arc<Type>),
}

/// How a value of the type is validated, merged and owned.
#[derive(Debug, Clone)]
pub(super) enum Type {
    Scalar(Scalar),
    List(ListType),
    Map(MapType),
    /// No schema: maps merge key by key, lists are atomic, scalars are any.
    Deduced,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Scalar {
    String,
    Number,
    Boolean,
    /// Any scalar: times, int-or-string.
    Untyped,
    /// Any scalar; the server prints it in canonical form.
    Quantity,
}

#[derive(Debug, Clone)]
pub(super) struct ListType {
    pub(super) item: TypeRef,
    pub(super) relation: Relation,
}

/// What tells the items of a list apart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Relation {
    /// Nothing: the list is one value.
    Atomic,
    /// Their value.
    Set,
    /// The values of these fields.
    Keyed(Vec<String>),
}

#[derive(Debug, Clone, Default)]
pub(super) struct MapType {
    pub(super) fields: HashMap<String, TypeRef>,
    /// The type of what is not among the fields; none: nothing else is allowed.
    pub(super) element: Option<TypeRef>,
    pub(super) atomic: bool,
    pub(super) defaults: HashMap<String, Value>,
    pub(super) required: Vec<String>,
    /// Struct fields that the server's Go types hold by value, so that even an object just being
    /// created has them: whoever fills them does not own the struct itself.
    pub(super) held: Vec<String>,
}

/// The form a value takes under its type.
#[derive(Debug, Clone, Copy)]
pub(super) enum Shape<'t> {
    Scalar(Scalar),
    List(&'t ListType),
    Map(&'t MapType),
}

impl Shape<'_> {
    pub(super) fn is_like(&self, other: &Shape<'_>) -> bool {
        std::mem::discriminant(self) == std::mem::discriminant(other)
    }
}

struct Table {
    kinds: HashMap<String, Arc<str>>,
    types: HashMap<String, Arc<Type>>,
}

static DEDUCED_LIST: LazyLock<ListType> =
    LazyLock::new(|| ListType { item: TypeRef::deduced(), relation: Relation::Atomic });
static DEDUCED_MAP: LazyLock<MapType> =
    LazyLock::new(|| MapType { element: Some(TypeRef::deduced()), ..MapType::default() });
static DEDUCED: LazyLock<Arc<Type>> = LazyLock::new(|| Arc::new(Type::Deduced));
// The document is part of the program: a test reads it.
static TABLE: LazyLock<Table> = LazyLock::new(|| {
    let document: Value = serde_json::from_str(include_str!("../types.json")).unwrap_or_default();
    Table::parse(&document)
});

impl Table {
    fn parse(document: &Value) -> Table {
        let entries = |name: &str| document[name].as_object().cloned().unwrap_or_default();
        let kinds = entries("kinds")
            .into_iter()
            .filter_map(|(kind, name)| Some((kind, Arc::from(name.as_str()?))))
            .collect();
        let types = entries("types")
            .into_iter()
            .map(|(name, definition)| (name, Arc::new(Type::of_definition(&definition))))
            .collect();
        Table { kinds, types }
    }
}

impl TypeRef {
    pub(super) fn deduced() -> TypeRef {
        TypeRef::Inline(Arc::clone(&DEDUCED))
    }

    pub(super) fn scalar(scalar: Scalar) -> TypeRef {
        TypeRef::Inline(Arc::new(Type::Scalar(scalar)))
    }

    pub(super) fn named(name: &str, atomic: Option<bool>) -> TypeRef {
        TypeRef::Named { name: Arc::from(name), atomic }
    }

    /// The type itself; a name that the table lacks is a type without schema.
    pub(super) fn resolve(&self) -> Arc<Type> {
        match self {
            TypeRef::Inline(inline) => Arc::clone(inline),
            TypeRef::Named { name, atomic } => {
                let found = TABLE.types.get(&**name).unwrap_or(&DEDUCED);
                match (atomic, &**found) {
                    (Some(atomic), Type::Map(map)) if map.atomic != *atomic => {
                        Arc::new(Type::Map(MapType { atomic: *atomic, ..map.clone() }))
                    }
                    _ => Arc::clone(found),
                }
            }
        }
    }
}

impl Type {
    /// The form of a value; without schema it is the value's own, a map where there is none.
    pub(super) fn shape(&self, value: Option<&Value>) -> Shape<'_> {
        match self {
            Type::Scalar(scalar) => Shape::Scalar(*scalar),
            Type::List(list) => Shape::List(list),
            Type::Map(map) => Shape::Map(map),
            Type::Deduced => match value {
                None | Some(Value::Null | Value::Object(_)) => Shape::Map(&DEDUCED_MAP),
                Some(Value::Array(_)) => Shape::List(&DEDUCED_LIST),
                Some(_) => Shape::Scalar(Scalar::Untyped),
            },
        }
    }

    /// What an object of the type has before anything is written to it.
    fn zero(&self) -> Value {
        let mut zero = Map::new();
        match self {
            Type::Scalar(Scalar::String) => return "".into(),
            Type::Scalar(_) => return Value::Null,
            _ => {}
        }
        if let Type::Map(map) = self {
            for name in &map.required {
                zero.insert(name.clone(), Value::Null);
            }
            for name in &map.held {
                if let Some(of) = map.fields.get(name) {
                    zero.insert(name.clone(), of.resolve().zero());
                }
            }
        }
        Value::Object(zero)
    }
}

impl MapType {
    /// What every object has: apiVersion, kind and metadata.
    pub(super) fn add_object_fields(&mut self) {
        for name in ["apiVersion", "kind"] {
            self.fields.insert(name.to_owned(), TypeRef::scalar(Scalar::String));
        }
        self.fields.insert("metadata".to_owned(), TypeRef::named("meta.v1.ObjectMeta", None));
    }

    pub(super) fn field(&self, name: &str) -> Option<&TypeRef> {
        self.fields.get(name).or(self.element.as_ref())
    }
}

impl Schema {
    /// The schema of a built-in kind, as Kubernetes 1.36's OpenAPI document has it; the core
    /// group's name is empty. None for kinds that the table lacks.
    pub fn built_in(group: &str, version: &str, kind: &str) -> Option<Arc<Schema>> {
        let separator = if group.is_empty() { "" } else { "/" };
        let name = TABLE.kinds.get(&format!("{group}{separator}{version}/{kind}"))?;
        Some(Arc::new(Schema { root: TypeRef::Named { name: Arc::clone(name), atomic: None } }))
    }

    /// The schema of a custom resource, from its version's `schema.openAPIV3Schema`.
    pub fn of_crd(open_api_v3_schema: &Value) -> Arc<Schema> {
        let mut root = Type::of_structural(open_api_v3_schema);
        if let Type::Map(map) = &mut root {
            map.add_object_fields();
        }
        Arc::new(Schema { root: TypeRef::Inline(Arc::new(root)) })
    }

    /// No schema: maps merge key by key, lists are atomic.
    pub fn deduced() -> Arc<Schema> {
        let mut map = MapType { element: Some(TypeRef::deduced()), ..MapType::default() };
        map.add_object_fields();
        Arc::new(Schema { root: TypeRef::Inline(Arc::new(Type::Map(map))) })
    }

    /// What the server compares a new object with: for built-in kinds the structs that its types
    /// always hold, for others nothing.
    pub(super) fn zero(&self) -> Value {
        match &self.root {
            TypeRef::Named { .. } => self.root.resolve().zero(),
            TypeRef::Inline(_) => json!({}),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_whole() {
        assert!(TABLE.kinds.len() > 40 && TABLE.types.len() > 300);
        for (kind, name) in &TABLE.kinds {
            assert!(TABLE.types.contains_key(&**name), "{kind}");
        }
        for (name, of) in &TABLE.types {
            let Type::Map(map) = &**of else { continue };
            for (field, of) in &map.fields {
                assert_known(of, &format!("{name}.{field}"));
            }
        }
    }

    fn assert_known(of: &TypeRef, at: &str) {
        match of {
            TypeRef::Named { name, .. } => {
                assert!(TABLE.types.contains_key(&**name), "{at}: {name}")
            }
            TypeRef::Inline(inline) => match &**inline {
                Type::List(list) => assert_known(&list.item, at),
                Type::Map(map) => map.element.iter().for_each(|of| assert_known(of, at)),
                _ => {}
            },
        }
    }

    #[test]
    fn knows_built_in_kinds_and_no_others() {
        for (group, version, kind) in [
            ("", "v1", "Service"),
            ("apps", "v1", "Deployment"),
            ("apiextensions.k8s.io", "v1", "CustomResourceDefinition"),
            ("autoscaling", "v1", "Scale"),
        ] {
            assert!(Schema::built_in(group, version, kind).is_some(), "{group}/{version} {kind}");
        }
        assert!(Schema::built_in("apps", "v9", "Deployment").is_none());
        assert!(Schema::built_in("argoproj.io", "v1alpha1", "Application").is_none());
    }

    #[test]
    fn a_reference_may_merge_otherwise_than_its_type() {
        // An ObjectReference is atomic, a volume's claimRef is not.
        let is_atomic = |of: &TypeRef| matches!(&*of.resolve(), Type::Map(map) if map.atomic);
        let volume = TypeRef::named("core.v1.PersistentVolumeSpec", None).resolve();
        let Type::Map(volume) = &*volume else { panic!("a volume's spec is a map") };
        assert!(is_atomic(&TypeRef::named("core.v1.ObjectReference", None)));
        assert!(!is_atomic(&volume.fields["claimRef"]));
    }
}
