//! What a hostname may look like.

/// Why a text is no hostname that DNS takes; None where it is one. `*` may be the first label.
pub(super) fn refused(hostname: &str) -> Option<String> {
    const LONGEST: usize = 253;
    const LONGEST_LABEL: usize = 63;
    if hostname.is_empty() {
        return Some("it is empty".to_owned());
    }
    if let Some(c) = hostname.chars().find(|c| !c.is_ascii()) {
        return Some(match idna::domain_to_ascii(hostname) {
            Ok(ascii) => format!("`{c}` is not ASCII; DNS spells it `{ascii}`"),
            Err(_) => format!("`{c}` is not ASCII"),
        });
    }
    if hostname.contains("://") || hostname.contains('/') {
        return Some("a hostname has no scheme and no path".to_owned());
    }
    if hostname.len() > LONGEST {
        return Some(format!("it is longer than {LONGEST} characters"));
    }
    let labels: Vec<&str> = hostname.split('.').collect();
    if labels.len() < 2 {
        return Some("it has no domain".to_owned());
    }
    for (i, label) in labels.iter().enumerate() {
        if *label == "*" && i == 0 {
            continue;
        }
        if label.is_empty() {
            return Some("there is nothing between two dots, or before or after one".to_owned());
        }
        if label.len() > LONGEST_LABEL {
            return Some(format!("`{label}` is longer than {LONGEST_LABEL} characters"));
        }
        if let Some(c) = label.chars().find(|c| !c.is_ascii_alphanumeric() && !"-_".contains(*c)) {
            return Some(format!("`{c}` may not stand in it"));
        }
        if label.starts_with('-') || label.ends_with('-') {
            return Some(format!("`{label}` begins or ends with `-`"));
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dns_takes_what_it_takes() {
        let long = "a".repeat(64);
        for good in ["a.b", "*.b0xp.io", "x-1.b0xp.io", "_dmarc.b0xp.io", "A.b0xp.io"] {
            assert_eq!(refused(good), None, "{good}");
        }
        for bad in [
            "",
            "a",
            "a..b",
            ".a.b",
            "a.b.",
            "-a.b",
            "a-.b",
            "a b.c",
            "日本.jp",
            "x.*.b",
            "https://a.b",
            "a.b/c",
            &format!("{long}.b"),
        ] {
            assert!(refused(bad).is_some(), "{bad}");
        }
    }
}
