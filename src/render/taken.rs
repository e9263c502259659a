//! What a plan did not check, and with which permission it would have: at the end, in a line or two.

use std::collections::BTreeSet;

use super::RenderOptions;
use super::text::{clean, columns, hanging};
use crate::model::error::{Level, Report};
use crate::model::unread::Taken;

/// How many are named where not all are asked for.
const FEW: usize = 4;

/// Values that were taken as they are recorded: since nobody asked for them, or could not read them.
pub(super) fn lines(values: &[Taken], options: &RenderOptions) -> String {
    let (denied, unasked): (Vec<_>, Vec<_>) = values.iter().partition(|value| value.why.is_some());
    let mut out = String::new();
    for (values, head) in [
        (unasked, "Taken as recorded, not read"),
        (denied, "Taken as recorded, since they could not be read or told"),
    ] {
        let Some(first) = values.first() else { continue };
        let wants = listed(distinct(values.iter().flat_map(|value| &value.wants)));
        let rest = match (&first.why, values.len()) {
            (None, 1) => format!("`--verify-secrets` reads it, with {wants}."),
            (None, _) => format!("`--verify-secrets` reads them, with {wants}."),
            (Some(_), _) => format!("To compare them takes {wants}."),
        };
        let names = values.iter().map(|value| format!("the {} of {}", value.path, value.address));
        let text = format!("{head}: {}. {rest}", named(names.collect(), "values", options));
        out.push_str(&hanging("", "", &clean(&text), columns(options)));
    }
    out
}

/// Objects that were compared without a part, where the notes that say so are not shown.
pub(super) fn unchecked<'a>(
    checks: impl Iterator<Item = &'a Report>,
    values: &[Taken],
    options: &RenderOptions,
) -> String {
    let is = |check: &&Report| {
        check.level == Level::Note && check.code.as_deref() == Some(Report::UNCHECKED)
    };
    let addresses = checks.filter(is).filter_map(|check| check.address.as_ref());
    let denied: BTreeSet<_> =
        values.iter().filter(|v| v.why.is_some()).map(|v| &v.address).collect();
    let names = distinct(addresses.filter(|address| !denied.contains(address)));
    if names.is_empty() || options.verbose {
        return String::new();
    }
    let text = format!(
        "Not checked in full: {}; `-v` says why, and with which permission it would be.",
        named(names, "resources", options)
    );
    hanging("", "", &clean(&text), columns(options))
}

fn named(names: Vec<String>, what: &str, options: &RenderOptions) -> String {
    match names.len() <= FEW || options.verbose {
        true => names.join(", "),
        false => format!("{} {what} (`-v` names them)", names.len()),
    }
}

/// Each once, in the order in which they come.
fn distinct(all: impl Iterator<Item = impl ToString>) -> Vec<String> {
    let mut out: Vec<String> = Vec::new();
    for one in all.map(|one| one.to_string()) {
        if !out.contains(&one) {
            out.push(one);
        }
    }
    out
}

/// `a`, `a and b`, `a, b and c`.
fn listed(mut names: Vec<String>) -> String {
    match names.pop() {
        Some(last) if !names.is_empty() => format!("{} and {last}", names.join(", ")),
        Some(last) => last,
        None => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::address::Address;

    fn value(kind: &str, name: &str, path: &str, wants: &[&str], why: Option<&str>) -> Taken {
        Taken {
            address: Address::new(kind, name),
            path: path.to_owned(),
            wants: wants.iter().map(|name| (*name).to_owned()).collect(),
            why: why.map(str::to_owned),
        }
    }

    #[test]
    fn what_was_not_read_is_named_with_the_permission_for_it() {
        let secure: &[&str] = &["ssm:GetParameters", "kms:Decrypt"];
        let parameter = value("ssm_parameter", "a", "value", secure, None);
        let tunnel = value("tunnel", "a", "token", &["Cloudflare Tunnel Write"], None);
        let wide = RenderOptions { width: 300, ..RenderOptions::default() };
        assert_eq!(lines(&[], &wide), "");
        assert_eq!(
            lines(&[parameter.clone(), tunnel], &wide),
            "Taken as recorded, not read: the value of ssm_parameter.a, the token of tunnel.a. \
             `--verify-secrets` reads them, with ssm:GetParameters, kms:Decrypt and Cloudflare \
             Tunnel Write.\n"
        );
        let denied = value("ssm_parameter", "a", "value", secure, Some("it is denied"));
        assert_eq!(
            lines(&[denied], &wide),
            "Taken as recorded, since they could not be read or told: the value of \
             ssm_parameter.a. To compare them takes ssm:GetParameters and kms:Decrypt.\n"
        );
        let many = vec![parameter; FEW + 1];
        assert_eq!(
            lines(&many, &wide),
            "Taken as recorded, not read: 5 values (`-v` names them). `--verify-secrets` reads \
             them, with ssm:GetParameters and kms:Decrypt.\n"
        );
    }
}
