//! Kinds whose names are not unique: made under a mark and renamed by a second call, so that a
//! create whose answer was lost can always be found (contract 1.7).

use serde_json::json;

use super::support::{is_gone, refused, remote_of, text};
use crate::model::call::{Answer, Call, Method, Service};
use crate::model::kind::{Kind, KindError, Next, Work};
use crate::model::observed::Remote;
use crate::model::{Json, JsonMap};

/// A collection of such objects.
pub struct Collection {
    /// The path of the collection.
    pub path: String,
    /// What one of them is called in messages.
    pub noun: &'static str,
}

/// A name with a mark: `policy [boxctl 1f2e]`.
pub fn marked(name: &Json, mark: &str) -> Json {
    match name.as_str() {
        Some(name) => json!(format!("{name} [boxctl {mark}]")),
        None => name.clone(),
    }
}

/// A name and the mark in it.
pub fn split(name: &str) -> Option<(&str, &str)> {
    let (plain, mark) = name.strip_suffix(']')?.rsplit_once(" [boxctl ")?;
    Some((plain, mark))
}

/// Whether the object has the name that a spec asks for, with a mark or without.
pub fn fits(spec: &Json, remote: &Remote) -> bool {
    let (Some(wanted), Some(name)) = (text(spec, "name"), text(&remote.spec, "name")) else {
        return false;
    };
    wanted == name || split(name).is_some_and(|(plain, _)| plain == wanted)
}

/// The mark in an object's name.
pub fn mark_of(remote: &Remote) -> Option<String> {
    let (_, mark) = split(text(&remote.spec, "name")?)?;
    Some(mark.to_owned())
}

impl Collection {
    /// The path of an object.
    pub fn one(&self, id: &str) -> String {
        format!("{}/{id}", self.path)
    }

    /// The call that reads an object.
    pub fn get(&self, id: &str) -> Call {
        let purpose = format!("reading the {}", self.noun);
        Call::get(Service::Cloudflare, self.one(id)).purpose(purpose)
    }

    /// The call that replaces an object.
    pub fn put(&self, id: &str, body: JsonMap) -> Call {
        let call = Call::change(Service::Cloudflare, Method::Put, self.one(id));
        call.body(Json::Object(body)).purpose(format!("changing the {}", self.noun))
    }

    /// The next call of a create: under a mark first, then with the name. `rename` is the body of
    /// the second call.
    ///
    /// # Errors
    /// An answer without an id.
    pub fn create(
        &self,
        kind: &dyn Kind,
        work: &Work<'_>,
        answers: &[Answer],
        mut body: JsonMap,
        rename: JsonMap,
    ) -> Result<Next, KindError> {
        match answers {
            [] => {
                let name = marked(body.get("name").unwrap_or(&Json::Null), work.mark);
                body.insert("name".to_owned(), name.clone());
                let call = Call::change(Service::Cloudflare, Method::Post, self.path.clone())
                    .body(Json::Object(body))
                    .key(JsonMap::from_iter([("name".to_owned(), name)]))
                    .purpose(format!("creating the {}", self.noun));
                Ok(Next::call(call))
            }
            [created] => {
                let id = text(&created.body, "id");
                let id = id.ok_or_else(|| KindError::Answer("id".to_owned()))?;
                let purpose = format!("giving the {} its name", self.noun);
                Ok(Next::call(self.put(id, rename).purpose(purpose)))
            }
            [_, renamed, ..] => Ok(Next::done(remote_of(kind.read(&renamed.body, work.scope))?)),
        }
    }

    /// The next call of a delete.
    ///
    /// # Errors
    /// A refusal.
    pub fn delete(&self, work: &Work<'_>, last: Option<&Answer>) -> Result<Next, KindError> {
        match last {
            None => {
                let remote = work.remote.ok_or_else(|| KindError::Answer("id".to_owned()))?;
                let path = self.one(&remote.id);
                let call = Call::change(Service::Cloudflare, Method::Delete, path)
                    .tolerate(&[404])
                    .purpose(format!("deleting the {}", self.noun));
                Ok(Next::call(call))
            }
            Some(answer) if is_gone(answer) => Ok(Next::gone()),
            Some(answer) => Err(refused(answer, None)),
        }
    }
}
