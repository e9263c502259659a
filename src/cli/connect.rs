//! Wires the APIs up for a run: credentials and endpoints come from where their ecosystems keep
//! them.

use std::path::PathBuf;

/// What takes the place of settings that are otherwise in the environment. Nothing else tells a
/// sandbox from the real services.
#[derive(Clone, Debug, Default)]
pub struct Overrides {
    /// `CLOUDFLARE_BASE_URL`.
    pub cloudflare_base_url: Option<String>,
    /// `CLOUDFLARE_API_TOKEN`.
    pub cloudflare_api_token: Option<String>,
    /// `AWS_ENDPOINT_URL`.
    pub aws_endpoint_url: Option<String>,
    /// `AWS_REGION`.
    pub aws_region: Option<String>,
    /// `AWS_ACCESS_KEY_ID` and `AWS_SECRET_ACCESS_KEY`.
    pub aws_keys: Option<(String, String)>,
    /// `KUBECONFIG`.
    pub kubeconfig: Option<PathBuf>,
}

impl Overrides {
    /// The settings among these variables.
    pub fn from_environment(variables: &[(String, String)]) -> Self {
        let get = |name: &str| {
            variables.iter().find(|(key, _)| key == name).map(|(_, value)| value.clone())
        };
        Overrides {
            cloudflare_base_url: get("CLOUDFLARE_BASE_URL"),
            cloudflare_api_token: get("CLOUDFLARE_API_TOKEN"),
            aws_endpoint_url: get("AWS_ENDPOINT_URL"),
            aws_region: get("AWS_REGION"),
            aws_keys: get("AWS_ACCESS_KEY_ID").zip(get("AWS_SECRET_ACCESS_KEY")),
            kubeconfig: get("KUBECONFIG").map(PathBuf::from),
        }
    }
}
