//! What errors of the APIs mean and what to do about them. The table is data: `errors.yaml`.

use std::sync::LazyLock;

use serde::Deserialize;

use crate::model::call::{Call, Service};
use crate::model::error::{CallError, Failure};

/// The whole table.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Table {
    cloudflare: Vec<Row>,
    ssm: Vec<Row>,
    permissions: Vec<Permission>,
}

/// One row: which errors it is about, what they mean, and what to do.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Row {
    /// The service's codes; none for any.
    #[serde(default)]
    code: Codes,
    /// The HTTP status; none for any.
    status: Option<u16>,
    /// What the operation contains.
    #[serde(default)]
    at: String,
    /// What the message contains, in lower case.
    #[serde(default)]
    says: String,
    means: String,
    r#do: String,
}

#[derive(Debug, Default, Deserialize)]
#[serde(untagged)]
enum Codes {
    #[default]
    Any,
    One(String),
    Several(Vec<String>),
}

impl Codes {
    fn fit(&self, code: &str) -> bool {
        match self {
            Codes::Any => true,
            Codes::One(known) => known == code,
            Codes::Several(known) => known.iter().any(|known| known == code),
        }
    }
}

/// The permission that a call wants, by a part of its path, in which `*` stands for anything.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Permission {
    at: String,
    of: String,
    read: String,
    write: String,
}

static TABLE: LazyLock<Result<Table, String>> = LazyLock::new(|| {
    serde_saphyr::from_str(include_str!("errors.yaml")).map_err(|error| error.to_string())
});

/// Which permissions the token needs, by what is asked for.
pub const TOKEN_SCOPES: &str = "a token for plan needs, for the account: Cloudflare Tunnel Read, \
    Access: Apps and Policies Read, Access: Organizations, Identity Providers, and Groups Read; \
    for the zones: Zone Read, DNS Read. A token for apply needs Write where these say Read, apart \
    from zones and identity providers";

/// The permission of an API token that reading something of Cloudflare wants, and of what.
pub fn reading(call: &Call) -> Option<String> {
    let table = TABLE.as_ref().ok().filter(|_| call.service == Service::Cloudflare)?;
    let found = wanted(table, &format!("GET {}", call.path))?;
    Some(format!("{} ({})", found.read, found.of))
}

/// The permission of an API token that an operation (`GET /zones/…/dns_records`) wants.
fn permission(table: &Table, operation: &str) -> String {
    let reads = operation.starts_with("GET ");
    match wanted(table, operation) {
        Some(Permission { of, read, write, .. }) => {
            format!("`{}` for the {of}", if reads { read } else { write })
        }
        None => "the permission for it".to_owned(),
    }
}

fn wanted<'t>(table: &'t Table, operation: &str) -> Option<&'t Permission> {
    let fits = |at: &str| {
        let mut rest = Some(operation);
        for part in at.split('*') {
            rest = rest.and_then(|rest| Some(rest.split_once(part)?.1));
        }
        rest.is_some()
    };
    table.permissions.iter().find(|permission| fits(&permission.at))
}

fn row<'a>(table: &'a Table, error: &CallError) -> Option<&'a Row> {
    let rows = match error.service {
        Service::Cloudflare => &table.cloudflare,
        Service::Ssm => &table.ssm,
        Service::Kubernetes => return None,
    };
    let code = error.code.as_deref().unwrap_or_default();
    let message = error.message.to_lowercase();
    rows.iter().find(|row| {
        row.code.fit(code)
            && row.status.is_none_or(|status| error.status == Some(status))
            && error.operation.contains(&row.at)
            && message.contains(&row.says)
    })
}

/// Whether an operation only reads: `GET /zones`, `DescribeParameters`.
fn is_read(operation: &str) -> bool {
    ["GET ", "Get", "Describe", "List", "sts:"].iter().any(|begin| operation.starts_with(begin))
}

/// What an error means and what to do, if the table knows.
pub fn hint(error: &CallError) -> Option<String> {
    if let Ok(table) = &*TABLE
        && let Some(Row { means, r#do, .. }) = row(table, error)
    {
        let advice = r#do.replace("{permission}", &permission(table, &error.operation));
        return Some(format!("{means}: {advice}"));
    }
    match error.failure {
        Failure::NotSent if error.code.as_deref() == Some(super::retry::CONNECT) => {
            Some(match error.service {
                Service::Cloudflare => {
                    "look at the network, HTTPS_PROXY and CLOUDFLARE_BASE_URL".to_owned()
                }
                Service::Ssm => "look at the network, HTTPS_PROXY and AWS_ENDPOINT_URL".to_owned(),
                Service::Kubernetes => "look at the network and KUBECONFIG".to_owned(),
            })
        }
        Failure::Unknown if is_read(&error.operation) => Some("run this again".to_owned()),
        Failure::Unknown => {
            Some("run this again: what became of the call is looked up first".to_owned())
        }
        _ => None,
    }
}

#[cfg(test)]
#[path = "hints_tests.rs"]
mod tests;
