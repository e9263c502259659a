//! How the lists of the Cloudflare API are read to their end: by numbers of pages, or by cursor
//! (contract 1.4).

use crate::model::Json;
use crate::model::call::{Call, Paging};

/// Which page of a collection is asked for.
#[derive(Clone, Debug, PartialEq)]
pub struct Turn {
    /// How many items a page may have; none where the list takes no such number.
    size: Option<u32>,
    at: At,
}

#[derive(Clone, Debug, PartialEq)]
enum At {
    /// The page with this number; the first one where there are none.
    Number(u32),
    /// What follows a cursor of the answer before.
    Cursor(String),
}

impl Turn {
    /// The first page.
    pub fn first(paging: Paging) -> Turn {
        let size = match paging {
            Paging::Pages(size) => Some(size),
            Paging::One | Paging::Newest(_) | Paging::Token => None,
        };
        Turn { size, at: At::Number(1) }
    }

    /// The call with the parameters of the page.
    pub fn asked(&self, call: &Call) -> Call {
        let call = match (&self.at, self.size) {
            (At::Number(number), Some(_)) => call.clone().query("page", number.to_string()),
            (At::Number(_), None) => call.clone(),
            (At::Cursor(cursor), _) => call.clone().query("cursor", cursor),
        };
        match self.size {
            Some(size) => call.query("per_page", size.to_string()),
            None => call,
        }
    }

    /// What follows, given how many items came and `result_info`. Where an answer has a cursor, the list goes on by it, whatever was asked for:
    /// some lists have no numbers of pages, and do not look at one (contract 1.4).
    pub fn next(&self, count: usize, info: &Json) -> Option<Turn> {
        let cursor = info.get("cursor").or_else(|| info.pointer("/cursors/after"));
        let cursor = cursor.and_then(Json::as_str).filter(|cursor| !cursor.is_empty());
        let at = match (cursor, &self.at, self.size) {
            (Some(cursor), At::Cursor(before), _) if cursor == before => return None,
            (Some(cursor), ..) => At::Cursor(cursor.to_owned()),
            (None, At::Number(number), Some(size)) if !is_last(*number, size, count, info) => {
                At::Number(number + 1)
            }
            (None, ..) => return None,
        };
        Some(Turn { size: self.size, at })
    }
}

/// Whether a list ends here. Totals are not believed (contract 1.2): a short page ends it, and so
/// does the last page by number; more than was asked for means that paging is ignored.
fn is_last(number: u32, size: u32, count: usize, info: &Json) -> bool {
    let number_of = |field: &str| info.get(field).and_then(Json::as_u64).filter(|n| *n > 0);
    let size = u64::from(size);
    let granted = number_of("per_page").map_or(size, |granted| granted.min(size));
    let count = u64::try_from(count).unwrap_or(u64::MAX);
    let pages = number_of("total_pages").is_some_and(|pages| u64::from(number) >= pages);
    count == 0 || count < granted || count > size || pages
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::model::call::Service;

    #[test]
    fn lists_end_at_short_pages_and_pages_by_number() {
        assert!(is_last(1, 100, 3, &Json::Null));
        assert!(!is_last(1, 100, 100, &Json::Null));
        assert!(is_last(1, 100, 250, &Json::Null));
        assert!(is_last(1, 100, 0, &json!({"total_pages": 0})));
        assert!(!is_last(1, 1000, 25, &json!({"per_page": 25, "total_pages": 2})));
        assert!(is_last(2, 1000, 25, &json!({"per_page": 25, "total_pages": 2})));
    }

    #[test]
    fn a_cursor_is_followed_whatever_was_asked_for() {
        let call = Call::get(Service::Cloudflare, "/accounts/a/r2/buckets");
        let asked = |turn: &Turn| {
            let query = turn.asked(&call).query;
            query
                .iter()
                .map(|(name, value)| format!("{name}={value}"))
                .collect::<Vec<_>>()
                .join("&")
        };
        for (paging, first, second) in [
            (Paging::Pages(3), "page=1&per_page=3", "cursor=x&per_page=3"),
            (Paging::One, "", "cursor=x"),
        ] {
            let turn = Turn::first(paging);
            assert_eq!(asked(&turn), first);
            for info in [json!({"cursor": "x"}), json!({"cursors": {"after": "x"}})] {
                let next = turn.next(2, &info).unwrap();
                assert_eq!(asked(&next), second);
                // One that comes again leads nowhere.
                assert_eq!(next.next(2, &info), None);
                assert_eq!(next.next(3, &json!({"cursor": "", "per_page": 3})), None);
            }
            assert_eq!(turn.next(2, &json!({"cursor": null})), None);
        }
    }
}
