//! Whether a cluster is reached through the proxy of the environment.

use std::net::IpAddr;

use ipnet::IpNet;
use kube::Config;

fn variable(names: [&str; 2]) -> Option<String> {
    names.into_iter().find_map(|name| std::env::var(name).ok().filter(|value| !value.is_empty()))
}

/// Sets the proxy as the other clients of this program do: `HTTPS_PROXY` for https only, never for
/// what `NO_PROXY` names or for loopback. A kubeconfig's own `proxy-url` stays.
pub fn adjust(config: &mut Config) {
    let Some(proxy) = variable(["HTTPS_PROXY", "https_proxy"]) else { return };
    let Ok(proxy) = proxy.parse::<http::Uri>() else { return };
    if config.proxy_url.as_ref().is_some_and(|set| *set != proxy) {
        return;
    }
    let direct = config.cluster_url.scheme_str() != Some("https")
        || config.cluster_url.host().is_none_or(|host| {
            is_direct(host, &variable(["NO_PROXY", "no_proxy"]).unwrap_or_default())
        });
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
