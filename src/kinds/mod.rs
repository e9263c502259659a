//! One file per kind of resource: what to send, and how to read the answer. No I/O.

use crate::model::kind::Kind;

pub mod access_application;
mod access_application_body;
pub mod access_application_policy;
pub mod access_application_spec;
mod access_application_type;
pub mod access_group;
pub mod access_policy;
pub mod access_rules;
pub mod cloudflare_object;
mod cloudflare_object_body;
mod cloudflare_object_check;
pub mod cloudflare_object_spec;
mod cloudflare_object_steps;
pub mod compare;
pub mod dns_content;
pub mod dns_record;
pub mod dns_record_spec;
mod dns_settings;
mod forms;
pub mod hostname_route;
mod ingress;
pub mod kubernetes;
pub mod lookup;
pub mod marked;
pub mod origin;
mod route;
pub mod service_token;
pub mod split_tunnel;
pub mod ssm_parameter;
mod ssm_parameter_check;
pub mod ssm_parameter_spec;
pub mod support;
#[cfg(test)]
mod testing;
pub mod tunnel;
pub mod tunnel_config;
pub mod tunnel_route;
pub mod wiring;

/// Every kind. Adding one is a file in this folder and a line here.
pub static KINDS: &[&dyn Kind] = &[
    &tunnel::Tunnel,
    &tunnel_config::TunnelConfig,
    &tunnel_route::TunnelRoute,
    &hostname_route::HostnameRoute,
    &split_tunnel::SplitTunnel,
    &dns_record::DnsRecord,
    &access_group::AccessGroup,
    &access_policy::AccessPolicy,
    &access_application::AccessApplication,
    &access_application_policy::AccessApplicationPolicy,
    &service_token::ServiceToken,
    &cloudflare_object::CloudflareObject,
    &ssm_parameter::SsmParameter,
    &kubernetes::object::Object,
];

/// The kind of that name.
pub fn find(name: &str) -> Option<&'static dyn Kind> {
    KINDS.iter().copied().find(|kind| kind.name() == name)
}
