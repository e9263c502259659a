//! What files write of an Access application (contract 6.1).

use schemars::JsonSchema;

use crate::model::Json;

/// What stands before a hostname and asks who is there.
#[derive(Debug, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AccessApplicationSpec {
    /// The name.
    pub name: Option<String>,
    /// `self_hosted` (the default), `ssh`, `vnc`, `rdp`, `saas`, `bookmark`, `infrastructure`,
    /// `mcp`, `mcp_portal`, `proxy_endpoint`; or `warp`, `app_launcher`, `biso`, `dash_sso`: the
    /// account has one of each, which is taken over, and stays when it leaves the files.
    #[serde(rename = "type")]
    pub kind: Option<String>,
    /// What it guards: a hostname, maybe with a path; `*.` and `/*` are wildcards.
    pub domain: Option<String>,
    /// What it guards, where that is more than a domain.
    pub destinations: Option<Vec<Destination>>,
    /// What it guards, in the older form.
    pub self_hosted_domains: Option<Vec<String>>,
    /// How long a session lasts; 24h by default.
    pub session_duration: Option<String>,
    /// Ids of the account's policies, in the order in which they are tried. `[]` takes them all
    /// away; where it is left out they are left alone.
    pub policies: Option<Vec<String>>,
    /// Identity providers that may be used, by name, type or id; all by default.
    pub allowed_idps: Option<Vec<String>>,
    /// Goes to the identity provider at once; wants exactly one of `allowed_idps`.
    pub auto_redirect_to_identity: Option<bool>,
    /// Whether the App Launcher shows it; on by default.
    pub app_launcher_visible: Option<bool>,
    /// Whether scripts are kept from the cookie; on by default.
    pub http_only_cookie_attribute: Option<bool>,
    /// Binds the cookie to the browser.
    pub enable_binding_cookie: Option<bool>,
    /// Lets preflight requests through.
    pub options_preflight_bypass: Option<bool>,
    /// Leaves the page between login and application out.
    pub skip_interstitial: Option<bool>,
    /// Restricts the cookie to the path.
    pub path_cookie_attribute: Option<bool>,
    /// Answers 401 rather than a redirect to requests with a service token that does not fit.
    pub service_auth_401_redirect: Option<bool>,
    /// Lets other pages show it in a frame.
    pub allow_iframe: Option<bool>,
    /// The SameSite attribute of the cookie: `none`, `lax`, `strict`.
    pub same_site_cookie_attribute: Option<String>,
    /// Whether WARP's session is enough.
    pub allow_authenticate_via_warp: Option<bool>,
    /// What those are told who don't get in.
    pub custom_deny_message: Option<String>,
    /// Where those are sent who don't get in.
    pub custom_deny_url: Option<String>,
    /// Where those are sent who don't get in by service authentication.
    pub custom_non_identity_deny_url: Option<String>,
    /// The logo's URL.
    pub logo_url: Option<String>,
    /// Ids of custom pages.
    pub custom_pages: Option<Vec<String>>,
    /// Tags, which have to exist.
    pub tags: Option<Vec<String>>,
    /// What Access answers to preflight requests.
    pub cors_headers: Option<CorsHeaders>,
    /// Where users are provisioned to.
    pub scim_config: Option<serde_json::Map<String, Json>>,
    /// What is asked for beside the login.
    pub mfa_config: Option<serde_json::Map<String, Json>>,
    /// How it serves OAuth clients.
    pub oauth_configuration: Option<serde_json::Map<String, Json>>,
    /// What a `saas` application is.
    pub saas_app: Option<serde_json::Map<String, Json>>,
    /// What an `infrastructure` application may be reached by.
    pub target_criteria: Option<Vec<serde_json::Map<String, Json>>>,
    /// The header that service tokens are read from.
    pub read_service_tokens_from_header: Option<String>,
    /// Redirects as soon as a cookie is set; on by default.
    pub eager_redirect_cookie_setting: Option<bool>,
    /// Has the App Launcher open it by clientless isolation.
    pub use_clientless_isolation_app_launcher_url: Option<bool>,
}

/// Something that an application guards.
#[derive(Debug, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Destination {
    /// `public` (the default), `private`, `via_mcp_server_portal`, or a newer type.
    #[serde(rename = "type")]
    pub kind: Option<String>,
    /// A hostname, maybe with a path; for public ones.
    pub uri: Option<String>,
    /// A network; for private ones.
    pub cidr: Option<String>,
    /// A hostname; for private ones.
    pub hostname: Option<String>,
    /// `tcp` or `udp`; for private ones.
    pub l4_protocol: Option<String>,
    /// A port or a range of ports; for private ones.
    pub port_range: Option<String>,
    /// A virtual network's id; for private ones.
    pub vnet_id: Option<String>,
    /// An MCP server's id.
    pub mcp_server_id: Option<String>,
    /// What is otherwise for this destination.
    pub overrides: Option<Vec<Json>>,
}

/// What Access answers to preflight requests.
#[derive(Debug, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CorsHeaders {
    /// Allows all headers.
    pub allow_all_headers: Option<bool>,
    /// Allows all methods.
    pub allow_all_methods: Option<bool>,
    /// Allows all origins.
    pub allow_all_origins: Option<bool>,
    /// Allows credentials.
    pub allow_credentials: Option<bool>,
    /// Headers that are allowed.
    pub allowed_headers: Option<Vec<String>>,
    /// Methods that are allowed.
    pub allowed_methods: Option<Vec<String>>,
    /// Origins that are allowed.
    pub allowed_origins: Option<Vec<String>>,
    /// How long the answer may be kept, in seconds.
    pub max_age: Option<i32>,
}
