//! Answers of the Cloudflare API: the envelope, errors by code, pages.

use base64::prelude::*;
use jiff::Timestamp;
use serde_json::{Value, json};

/// What a handler answers when it succeeds.
#[derive(Debug, Clone, PartialEq)]
pub struct Answer {
    /// HTTP status.
    pub status: u16,
    /// The envelope's `result`.
    pub result: Value,
    /// The envelope's `result_info`, on collections.
    pub info: Option<Value>,
    /// The envelope's `messages`.
    pub messages: Vec<Value>,
}

impl Answer {
    /// 200 with `result`.
    pub fn ok(result: Value) -> Self {
        Answer { status: 200, result, info: None, messages: Vec::new() }
    }

    /// 201 with `result`, as Access answers creates (contract 6).
    pub fn created(result: Value) -> Self {
        Answer { status: 201, ..Answer::ok(result) }
    }

    /// 202 with the id alone, as Access answers deletes (contract 6).
    pub fn deleted(id: &str) -> Self {
        Answer { status: 202, ..Answer::ok(json!({ "id": id })) }
    }

    /// 204 without a body.
    pub fn nothing() -> Self {
        Answer { status: 204, ..Answer::ok(Value::Null) }
    }

    /// The envelope (contract 1.2); null where there is no body.
    pub fn envelope(self) -> Value {
        if self.status == 204 {
            return Value::Null;
        }
        let mut envelope = json!({
            "success": true, "errors": [], "messages": self.messages, "result": self.result,
        });
        if let Some(info) = self.info {
            envelope["result_info"] = info;
        }
        envelope
    }
}

/// A refusal: an HTTP status with the codes of contract 1.6.
#[derive(Debug, Clone, PartialEq)]
pub struct ApiError {
    /// HTTP status.
    pub status: u16,
    /// The envelope's `errors`.
    pub errors: Vec<Value>,
}

impl ApiError {
    /// A refusal with one error.
    pub fn new(status: u16, code: u32, message: impl Into<String>) -> Self {
        ApiError { status, errors: vec![json!({ "code": code, "message": message.into() })] }
    }

    /// Access' generic refusal of a request (contract 1.6, code 12130).
    pub fn invalid_request(detail: impl std::fmt::Display) -> Self {
        ApiError::new(400, 12130, format!("access.api.error.invalid_request: {detail}"))
    }

    /// A path that leads nowhere, or whose identifier is malformed (contract 1.6, 7003 and 7000).
    pub fn no_route(path: &str) -> Self {
        let text = format!("Could not route to {path}, perhaps your object identifier is invalid?");
        ApiError {
            status: 404,
            errors: vec![
                json!({ "code": 7003, "message": text }),
                json!({ "code": 7000, "message": "No route for that URI" }),
            ],
        }
    }

    /// A path that exists, for other methods (contract 1.6, 7001).
    pub fn no_method(method: &str) -> Self {
        ApiError::new(405, 7001, format!("Method {method} not available for that URI."))
    }

    /// A token that lacks the permission or the resource (contract 1.6, 10000).
    pub fn forbidden() -> Self {
        ApiError::new(403, 10000, "Authentication error")
    }

    /// The envelope of a failure (contract 1.2).
    pub fn envelope(self) -> Value {
        json!({ "success": false, "errors": self.errors, "messages": [], "result": null })
    }

    /// The first error's code.
    pub fn code(&self) -> u64 {
        self.errors.first().and_then(|e| e["code"].as_u64()).unwrap_or_default()
    }
}

/// What a handler comes to.
pub type Outcome = Result<Answer, ApiError>;

/// Whether an RFC 3339 time of a row is not after `at`.
pub fn is_by(stamp: &str, at: Timestamp) -> bool {
    stamp.parse::<Timestamp>().is_ok_and(|time| time <= at)
}

/// Whether what was made and perhaps deleted at these times was there at a time that is asked for.
pub fn existed(at: Option<Timestamp>, made: &str, deleted: Option<&str>) -> bool {
    at.is_none_or(|at| is_by(made, at) && !deleted.is_some_and(|gone| is_by(gone, at)))
}

/// How many rows an endpoint gives a page (contract 1.4).
#[derive(Debug, Clone, Copy)]
pub struct Paging {
    /// Rows a page where the request names no number.
    pub default: usize,
    /// Fewest rows that may be asked for.
    pub min: usize,
    /// Most rows that may be asked for.
    pub max: usize,
}

/// A request's query parameters, decoded.
#[derive(Debug, Clone, Copy)]
pub struct Query<'a>(pub &'a [(String, String)]);

impl<'a> Query<'a> {
    /// The first value of `name`.
    pub fn get(&self, name: &str) -> Option<&'a str> {
        self.0.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    /// The value of `name` as a truth value, where it is one.
    pub fn flag(&self, name: &str) -> Option<bool> {
        match self.get(name)? {
            "true" | "1" => Some(true),
            "false" | "0" => Some(false),
            _ => None,
        }
    }

    /// The value of `name` as a time.
    ///
    /// # Errors
    /// It is none of RFC 3339.
    pub fn time(&self, name: &str) -> Result<Option<Timestamp>, ApiError> {
        let Some(text) = self.get(name) else { return Ok(None) };
        let wrong = || ApiError::new(400, 1001, format!("{name} must be an RFC 3339 time"));
        text.parse().map(Some).map_err(|_| wrong())
    }

    fn number(&self, name: &str) -> Result<Option<usize>, ApiError> {
        let Some(text) = self.get(name) else { return Ok(None) };
        let number = text.parse().map_err(|_| bad_page(name, "must be an integer"))?;
        Ok(Some(number))
    }
}

fn bad_page(name: &str, rule: &str) -> ApiError {
    ApiError::new(400, 1001, format!("Invalid query parameter {name}: {rule}"))
}

/// The rows that follow a cursor, and `result_info`: an empty cursor ends the list. A list by cursor
/// has no numbers of pages, and does not look at one (contract 1.4).
pub fn after_cursor(
    rows: Vec<Value>,
    query: Query<'_>,
    paging: Paging,
) -> Result<(Vec<Value>, Value), ApiError> {
    let per_page = per_page(query, paging)?;
    let passed = match query.get("cursor").filter(|cursor| !cursor.is_empty()) {
        None => 0,
        Some(cursor) => from_cursor(cursor)
            .ok_or_else(|| bad_page("cursor", "must be one of an earlier answer"))?,
    };
    let total = rows.len();
    let rows: Vec<Value> = rows.into_iter().skip(passed).take(per_page).collect();
    let passed = passed + rows.len();
    let cursor =
        if passed < total { BASE64_URL_SAFE.encode(passed.to_string()) } else { String::new() };
    let info = json!({ "count": rows.len(), "cursor": cursor, "per_page": per_page });
    Ok((rows, info))
}

fn from_cursor(cursor: &str) -> Option<usize> {
    let bytes = BASE64_URL_SAFE.decode(cursor).ok()?;
    std::str::from_utf8(&bytes).ok()?.parse().ok()
}

fn per_page(query: Query<'_>, paging: Paging) -> Result<usize, ApiError> {
    let per_page = query.number("per_page")?.unwrap_or(paging.default);
    if per_page < paging.min || per_page > paging.max {
        let rule = format!("must be between {} and {}", paging.min, paging.max);
        return Err(bad_page("per_page", &rule));
    }
    Ok(per_page)
}

/// The same with `total_pages`, which zones and DNS records tell beside the rest (contract 1.2).
pub fn counted_page(rows: Vec<Value>, query: Query<'_>, paging: Paging) -> Outcome {
    let total = rows.len();
    let mut answer = page(rows, query, paging)?;
    if let Some(info) = &mut answer.info {
        let per_page = info["per_page"].as_u64().and_then(|n| usize::try_from(n).ok());
        info["total_pages"] = total.div_ceil(per_page.unwrap_or(1).max(1)).max(1).into();
    }
    Ok(answer)
}

/// The page of `rows` that the query asks for, with `result_info` (contract 1.2).
pub fn page(rows: Vec<Value>, query: Query<'_>, paging: Paging) -> Outcome {
    let per_page = per_page(query, paging)?;
    let page = query.number("page")?.unwrap_or(1);
    if page == 0 {
        return Err(bad_page("page", "must be at least 1"));
    }
    let total = rows.len();
    let rows: Vec<Value> =
        rows.into_iter().skip((page - 1).saturating_mul(per_page)).take(per_page).collect();
    let info = json!({
        "page": page, "per_page": per_page, "count": rows.len(), "total_count": total,
    });
    Ok(Answer { info: Some(info), ..Answer::ok(Value::Array(rows)) })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ask(rows: usize, query: &[(&str, &str)]) -> Outcome {
        let query: Vec<_> = query.iter().map(|(k, v)| (k.to_string(), v.to_string())).collect();
        let rows = (0..rows).map(|n| json!(n)).collect();
        counted_page(rows, Query(&query), Paging { default: 20, min: 5, max: 50 })
    }

    #[test]
    fn an_empty_list_has_one_page() {
        let info = ask(0, &[]).unwrap().info.unwrap();
        let empty = json!(
            {"page": 1, "per_page": 20, "count": 0, "total_count": 0, "total_pages": 1});
        assert_eq!(info, empty);
    }

    #[test]
    fn pages_are_cut_and_counted() {
        let second = ask(12, &[("page", "2"), ("per_page", "5")]).unwrap();
        assert_eq!(second.result, json!([5, 6, 7, 8, 9]));
        assert_eq!(second.info.unwrap()["total_pages"], 3);
        let beyond = ask(12, &[("page", "9"), ("per_page", "5")]).unwrap();
        assert_eq!(beyond.result, json!([]));
    }

    #[test]
    fn page_sizes_out_of_range_are_refused() {
        for (name, value) in [("per_page", "4"), ("per_page", "51"), ("page", "0"), ("page", "x")] {
            assert_eq!(ask(1, &[(name, value)]).unwrap_err().status, 400, "{name}={value}");
        }
    }
}
