//! What the references doubt, as switches: each goes the other way than it does by default
//! (contract, section 12).

use std::collections::BTreeMap;
use std::str::FromStr;
use std::time::Duration;

/// A doubt about how Cloudflare behaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Quirk {
    /// Contract 12, 1.
    TunnelConflict400,
    /// Contract 12, 2.
    ActiveConnections409,
    /// Contract 12, 3.
    RoutesOutliveTunnel,
    /// Contract 5.2.
    SameHostnameRoute,
    /// Contract 12, 4.
    LongSecrets,
    /// Contract 12, 5.
    MixedPolicies,
    /// Contract 12, 6.
    TtlRequired,
    /// Contract 12, 7.
    NoConfigSrc,
    /// Contract 12, 8.
    PutTellsSecret,
    /// Contract 12, 9.
    AccessThrottles,
    /// Contract 12, 10.
    UnconfiguredMinusOne,
    /// Contract 12, 10.
    UnconfiguredMissing,
    /// Contract 12, 11.
    DetachingDelete,
    /// Contract 12, 12.
    UniqueAppNames,
    /// Contract 12, 13.
    TxtQuoted,
    /// Contract 12, 13.
    Ipv6AsSent,
    /// Contract 12, 13.
    TtlAsSent,
    /// Contract 12, 13.
    NoOpUnmodified,
    /// Contract 12, 14.
    ZoneAppsApart,
    /// Contract 12, 15.
    OtherCodes,
    /// Contract 12, 16.
    StaleLists,
    /// Contract 6.1.1.
    LatePolicies,
    /// Contract 4.4.
    TombstonesDeleted,
    /// Contract 4.1.
    NeverInactive,
    /// GetParametersByPath in the reference of SSM.
    ShortPages,
    /// DeleteParameter in the reference of SSM.
    SlowDeletes,
    /// DescribeParameters is eventually consistent, it does not say for how long.
    StaleDescriptions,
}

/// All of them: name, what happens when it is on, and for how many milliseconds if it passes.
const ALL: [(Quirk, &str, &str, Option<u64>); 27] = {
    use Quirk::*;
    [
        (
            TunnelConflict400,
            "tunnel-conflict-400",
            "a tunnel's name that is taken is refused with 400, not 409",
            None,
        ),
        (
            ActiveConnections409,
            "active-connections-409",
            "a tunnel with connections is refused with 409 and another text",
            None,
        ),
        (
            RoutesOutliveTunnel,
            "routes-outlive-tunnel",
            "routes stay when their tunnel is deleted without cascade",
            None,
        ),
        (
            SameHostnameRoute,
            "same-hostname-route",
            "making a hostname route that is there answers the one that is there",
            None,
        ),
        (LongSecrets, "long-secrets", "a tunnel's secret has to decode to 32 bytes", None),
        (
            MixedPolicies,
            "mixed-policies",
            "an application may have reusable and own policies",
            None,
        ),
        (TtlRequired, "ttl-required", "a record without ttl is refused", None),
        (NoConfigSrc, "no-config-src", "tunnels do not show config_src and remote_config", None),
        (
            PutTellsSecret,
            "put-tells-secret",
            "a PUT that rotates a service token answers the secret",
            None,
        ),
        (
            AccessThrottles,
            "access-throttles",
            "every fifth call of Access is refused with 403, although the token is valid",
            None,
        ),
        (
            UnconfiguredMinusOne,
            "unconfigured-minus-one",
            "a tunnel that was never configured has version -1",
            None,
        ),
        (
            UnconfiguredMissing,
            "unconfigured-missing",
            "a tunnel that was never configured answers 404",
            None,
        ),
        (
            DetachingDelete,
            "detaching-delete",
            "deleting a policy takes it out of its applications",
            None,
        ),
        (UniqueAppNames, "unique-app-names", "two applications cannot have one name", None),
        (TxtQuoted, "txt-quoted", "TXT content comes back quoted", None),
        (Ipv6AsSent, "ipv6-as-sent", "IPv6 addresses come back as they were sent", None),
        (TtlAsSent, "ttl-as-sent", "a proxied record keeps the ttl that was sent", None),
        (
            NoOpUnmodified,
            "no-op-unmodified",
            "a write that changes nothing leaves modified_on",
            None,
        ),
        (
            ZoneAppsApart,
            "zone-apps-apart",
            "an application of a zone is not to be seen in the account",
            None,
        ),
        (OtherCodes, "other-codes", "codes that are only presumed are other ones", None),
        (
            StaleLists,
            "stale-lists",
            "lists of Cloudflare lack the last change for a while",
            Some(1_000),
        ),
        (
            LatePolicies,
            "late-policies",
            "a new policy is unknown to applications for a while",
            Some(3_000),
        ),
        (TombstonesDeleted, "tombstones-deleted", "deleting a deleted tunnel succeeds", None),
        (NeverInactive, "never-inactive", "a fresh tunnel has no conns_inactive_at", None),
        (ShortPages, "short-pages", "pages of SSM come half full, the first one empty", None),
        (
            SlowDeletes,
            "slow-deletes",
            "the name of a deleted parameter is not free for a while",
            Some(30_000),
        ),
        (
            StaleDescriptions,
            "stale-descriptions",
            "descriptions of parameters lack the last version for a while",
            Some(1_000),
        ),
    ]
};

impl Quirk {
    /// Its name on the command line.
    pub fn name(self) -> &'static str {
        ALL.iter().find(|(quirk, ..)| *quirk == self).map_or("", |(_, name, ..)| name)
    }
}

/// Which of them are on, and for how long those last that pass.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Quirks(BTreeMap<Quirk, Duration>);

impl Quirks {
    /// Whether one is on.
    pub fn has(&self, quirk: Quirk) -> bool {
        self.0.contains_key(&quirk)
    }

    /// How long one lasts that is on; zero for those that do not pass.
    pub fn lasts(&self, quirk: Quirk) -> Option<Duration> {
        self.0.get(&quirk).copied()
    }
}

/// All names with what they do, for those who ask.
pub fn described() -> String {
    let line = |(_, name, does, lasts): &(Quirk, &str, &str, Option<u64>)| match lasts {
        Some(ms) => format!("  {name}[=MS]: {does} [default: {ms}]\n"),
        None => format!("  {name}: {does}\n"),
    };
    ALL.iter().map(line).collect()
}

impl FromStr for Quirks {
    type Err = String;

    /// `all`, `none`, or names apart by commas; those that pass may have `=MILLISECONDS`.
    fn from_str(text: &str) -> Result<Quirks, String> {
        let mut quirks = BTreeMap::new();
        for part in text.split(',').map(str::trim).filter(|part| !part.is_empty()) {
            let (name, said) = match part.split_once('=') {
                Some((name, ms)) => {
                    (name, Some(ms.parse::<u64>().map_err(|_| format!("no number: {part}"))?))
                }
                None => (part, None),
            };
            match name {
                "none" => quirks.clear(),
                "all" => {
                    let lasting = |ms: Option<u64>| Duration::from_millis(ms.unwrap_or(0));
                    quirks.extend(ALL.iter().map(|(quirk, _, _, ms)| (*quirk, lasting(*ms))));
                }
                name => {
                    let known = ALL.iter().find(|(_, known, ..)| *known == name);
                    let Some((quirk, _, _, usual)) = known else {
                        let text = format!("unknown: {name}; there are `all`, `none` and\n");
                        return Err(text + &described());
                    };
                    if said.is_some() && usual.is_none() {
                        return Err(format!("{name} does not pass"));
                    }
                    let ms = said.or(*usual).unwrap_or(0);
                    quirks.insert(*quirk, Duration::from_millis(ms));
                }
            }
        }
        Ok(Quirks(quirks))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_switch_them_on() {
        let some: Quirks = "txt-quoted, late-policies=20".parse().unwrap();
        assert!(some.has(Quirk::TxtQuoted) && !some.has(Quirk::TtlAsSent));
        assert_eq!(some.lasts(Quirk::LatePolicies), Some(Duration::from_millis(20)));
        let all: Quirks = "all".parse().unwrap();
        assert!(ALL.iter().all(|(quirk, ..)| all.has(*quirk)));
        assert_eq!("all,none".parse(), Ok(Quirks::default()));
        for wrong in ["txt", "txt-quoted=3", "stale-lists=x"] {
            assert!(wrong.parse::<Quirks>().is_err(), "{wrong}");
        }
        assert_eq!(Quirk::TxtQuoted.name(), "txt-quoted");
    }
}
