//! The proxy of the environment, the same for all three APIs: `HTTPS_PROXY` for https, and never
//! for what `NO_PROXY` names or for this machine itself.

use std::net::IpAddr;

use aws_smithy_http_client::proxy::ProxyConfig;
use ipnet::IpNet;
use kube::Config;

const THIS_MACHINE: &str = "localhost,127.0.0.0/8,::1";

/// The proxy, and what is reached without it.
struct Proxy {
    url: String,
    but: String,
}

fn variable(names: [&str; 2]) -> Option<String> {
    names.into_iter().find_map(|name| std::env::var(name).ok().filter(|value| !value.is_empty()))
}

fn environment() -> Option<Proxy> {
    let url = variable(["HTTPS_PROXY", "https_proxy"])?;
    let url = if url.contains("://") { url } else { format!("http://{url}") };
    let but = match variable(["NO_PROXY", "no_proxy"]) {
        Some(list) => format!("{list},{THIS_MACHINE}"),
        None => THIS_MACHINE.to_owned(),
    };
    Some(Proxy { url, but })
}

/// Sets it for Cloudflare. A proxy that is no URL is an error when the client is built.
pub fn of_cloudflare(builder: reqwest::ClientBuilder) -> Result<reqwest::ClientBuilder, String> {
    let builder = builder.no_proxy();
    let Some(Proxy { url, but }) = environment() else { return Ok(builder) };
    // It may hold a password, which the error would repeat.
    let proxy =
        reqwest::Proxy::https(&url).map_err(|_| "HTTPS_PROXY is no URL of a proxy".to_owned())?;
    Ok(builder.proxy(proxy.no_proxy(reqwest::NoProxy::from_string(&but))))
}

/// The same for AWS: where credentials come from over http is on this machine or beside it.
pub fn of_aws() -> ProxyConfig {
    let Some(Proxy { url, but }) = environment() else { return ProxyConfig::disabled() };
    // What is no URL is told when Cloudflare or the cluster is asked.
    ProxyConfig::https(url).map_or_else(|_| ProxyConfig::disabled(), |proxy| proxy.no_proxy(but))
}

/// The same for a cluster, whose kubeconfig may name a proxy of its own.
pub fn of_cluster(config: &mut Config) {
    let Some(Proxy { url, but }) = environment() else { return };
    let Ok(proxy) = url.parse::<http::Uri>() else { return };
    if config.proxy_url.as_ref().is_some_and(|set| *set != proxy) {
        return;
    }
    let direct = config.cluster_url.scheme_str() != Some("https")
        || config.cluster_url.host().is_none_or(|host| is_direct(host, &but));
    config.proxy_url = (!direct).then_some(proxy);
}

/// Whether a host is reached without a proxy.
fn is_direct(host: &str, no_proxy: &str) -> bool {
    let host = host.trim_start_matches('[').trim_end_matches(']').to_ascii_lowercase();
    let address: Option<IpAddr> = host.parse().ok();
    if host == "localhost" || address.is_some_and(|address| address.is_loopback()) {
        return true;
    }
    no_proxy.split(',').map(|entry| entry.trim().to_ascii_lowercase()).any(|entry| {
        if entry.is_empty() {
            return false;
        }
        if entry == "*" {
            return true;
        }
        if let (Some(address), Ok(net)) = (address, entry.parse::<IpNet>()) {
            return net.contains(&address);
        }
        let domain = entry.trim_start_matches("*.").trim_start_matches('.');
        host == domain || host.strip_suffix(domain).is_some_and(|rest| rest.ends_with('.'))
    })
}

#[cfg(test)]
mod tests {
    use super::is_direct;

    #[test]
    fn no_proxy_names_hosts_domains_and_networks() {
        for (host, list, direct) in [
            ("127.0.0.1", "", true),
            ("[::1]", "", true),
            ("localhost", "", true),
            ("k8s.example.org", "", false),
            ("k8s.example.org", "example.org", true),
            ("k8s.example.org", " .example.org , x", true),
            ("k8s.example.org", "*.example.org", true),
            ("k8sexample.org", "example.org", false),
            ("10.1.2.3", "10.0.0.0/8", true),
            ("11.1.2.3", "10.0.0.0/8", false),
            ("10.1.2.3", "10.1.2.3", true),
            ("a.b", "*", true),
        ] {
            assert_eq!(is_direct(host, list), direct, "{host} {list}");
        }
    }
}
