//! What files write of a DNS record.

use schemars::JsonSchema;

use crate::model::Json;

/// A DNS record.
#[derive(Debug, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DnsRecordSpec {
    /// The name: whole (`app.example.com`), relative to the zone (`app`), or `"@"` for the zone
    /// itself.
    pub name: String,
    /// The record's type.
    #[serde(rename = "type")]
    pub kind: RecordType,
    /// What the record says, for A, AAAA, CNAME, MX, NS, OPENPGPKEY, PTR and TXT.
    pub content: Option<String>,
    /// What the record says, for the other types.
    pub data: Option<serde_json::Map<String, Json>>,
    /// The zone, by name or id, for a relative name in a project with several zones.
    pub zone: Option<String>,
    /// How long resolvers may keep it, in seconds: 60 to 86400 (from 30 for Enterprise zones), or 1,
    /// the default, for automatic. Proxied records always have 1.
    pub ttl: Option<u32>,
    /// Whether requests go through Cloudflare; A, AAAA and CNAME only. Off by default.
    pub proxied: Option<bool>,
    /// The priority, for MX and URI.
    pub priority: Option<u16>,
    /// A note, in one line: up to 100 characters on the Free plan.
    pub comment: Option<String>,
    /// `name:value` tags; not for zones on the Free plan.
    pub tags: Option<Vec<String>>,
    /// Settings of A, AAAA and CNAME records.
    pub settings: Option<RecordSettings>,
    /// Whether the address is private to the account's networks; A and AAAA only.
    pub private_routing: Option<bool>,
}

/// Settings of a record.
#[derive(Debug, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RecordSettings {
    /// Answers a CNAME with what it points to; not for proxied records.
    pub flatten_cname: Option<bool>,
    /// Answers with IPv4 only; proxied records, and not on every plan.
    pub ipv4_only: Option<bool>,
    /// Answers with IPv6 only; proxied records, and not on every plan.
    pub ipv6_only: Option<bool>,
}

/// The types of records.
#[derive(Debug, JsonSchema)]
#[serde(rename_all = "UPPERCASE")]
#[allow(missing_docs)]
pub enum RecordType {
    A,
    Aaaa,
    Caa,
    Cert,
    Cname,
    Dnskey,
    Ds,
    Https,
    Loc,
    Mx,
    Naptr,
    Ns,
    Openpgpkey,
    Ptr,
    Smimea,
    Srv,
    Sshfp,
    Svcb,
    Tlsa,
    Txt,
    Uri,
}
