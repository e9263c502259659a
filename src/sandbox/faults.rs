//! Planned faults: the n-th call that matches a pattern is delayed, answered otherwise, or its
//! connection is closed before or after it took effect.
//!
//! The file is a list in JSON or YAML:
//!
//! ```yaml
//! - {service: cloudflare, method: POST, path: "*/dns_records", drop: after}
//! - {service: ssm, path: PutParameter, nth: 2, times: 3, status: 400, body: {__type: ThrottlingException}}
//! - {method: POST, path: "*/dns_records", status: 400, code: 81058, message: An identical record already exists.}
//! - {path: "^/client/v4/accounts/[^/]+/access/", status: 429, headers: {retry-after: "1"}, delay_ms: 50}
//! - {mutating: true, nth: 7, hold: after, tell: "127.0.0.1:9000"}
//! - {method: POST, path: "*/cfd_tunnel", ask: "127.0.0.1:9000"}
//! - {mutating: true, chance: 0.1, seed: 42, late: 20}
//! - {method: GET, path: "*/dns_records", lag: true}
//! ```
//!
//! While a sandbox serves, `PUT /sandbox/faults` with such a list plans other ones.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use globset::{GlobBuilder, GlobMatcher};
use regex::Regex;
use serde::Deserialize;
use serde_json::Value;
use sha2::{Digest, Sha256};

use super::SandboxError;

/// When a connection is closed without an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Drop {
    /// The call has no effect.
    Before,
    /// The call took effect.
    After,
}

/// One rule of the file.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    service: Option<String>,
    method: Option<String>,
    path: Option<String>,
    #[serde(default = "one")]
    nth: u64,
    #[serde(default = "one")]
    times: u64,
    status: Option<u16>,
    code: Option<Code>,
    message: Option<String>,
    body: Option<Value>,
    #[serde(default)]
    headers: BTreeMap<String, String>,
    #[serde(default)]
    delay_ms: u64,
    drop: Option<Drop>,
    #[serde(default)]
    reset: bool,
    #[serde(default)]
    effect: bool,
    mutating: Option<bool>,
    chance: Option<f64>,
    #[serde(default)]
    seed: u64,
    hold: Option<Drop>,
    tell: Option<SocketAddr>,
    ask: Option<SocketAddr>,
    late: Option<u64>,
    #[serde(default)]
    lag: bool,
    #[serde(default)]
    truncate: bool,
}

/// A service's own code; Cloudflare's are numbers.
#[derive(Debug, Clone, Deserialize)]
#[serde(untagged)]
enum Code {
    Number(u32),
    Name(String),
}

fn one() -> u64 {
    1
}

/// A call, as rules know it.
pub struct Asked<'a> {
    /// Which service it is for.
    pub service: &'a str,
    /// Its HTTP method.
    pub method: &'a str,
    /// The forms of its path.
    pub paths: &'a [&'a str],
    /// Whether it would change something.
    pub mutating: bool,
}

/// What happens to one call.
#[derive(Debug, Clone, Default)]
pub struct Fault {
    /// Waits before anything else happens.
    pub delay: Duration,
    /// Closes the connection.
    pub drop: Option<Drop>,
    /// Closes it with a reset instead of an orderly end.
    pub reset: bool,
    /// Answers this status.
    pub status: Option<u16>,
    /// Answers with this code of the service's own.
    pub code: Option<String>,
    /// Answers with this message in the service's envelope.
    pub message: Option<String>,
    /// Answers this body; a string as it is, anything else as JSON.
    pub body: Option<Value>,
    /// Adds these headers to the answer.
    pub headers: Vec<(String, String)>,
    /// The call takes effect although it is answered otherwise.
    pub effect: bool,
    /// It is never answered, nor is its connection closed.
    pub hold: Option<Drop>,
    /// A connection to this address tells that it is held.
    pub tell: Option<SocketAddr>,
    /// Before anything else happens it waits until a connection to this address is closed by who
    /// listens there.
    pub ask: Option<SocketAddr>,
    /// The connection is closed, and the call takes effect after so many others.
    pub late: Option<u64>,
    /// It is answered as if the last change had not been made yet.
    pub lag: bool,
    /// The connection is closed in the middle of the answer.
    pub truncate: bool,
}

enum Pattern {
    Glob(GlobMatcher),
    Regex(Regex),
}

impl Pattern {
    /// A text that begins with `^` or ends with `$` is a regular expression, any other a glob
    /// whose `*` also matches slashes.
    fn new(text: &str) -> Result<Pattern, String> {
        if text.starts_with('^') || text.ends_with('$') {
            return Regex::new(text).map(Pattern::Regex).map_err(|error| error.to_string());
        }
        let glob = GlobBuilder::new(text).literal_separator(false).build();
        glob.map(|glob| Pattern::Glob(glob.compile_matcher())).map_err(|error| error.to_string())
    }

    fn fits(&self, path: &str) -> bool {
        match self {
            Pattern::Glob(glob) => glob.is_match(path),
            Pattern::Regex(regex) => regex.is_match(path),
        }
    }
}

struct Rule {
    written: Written,
    pattern: Option<Pattern>,
    seen: u64,
    hit: u64,
}

/// The rules of a file, with what each has seen.
#[derive(Default)]
pub struct Faults {
    rules: Vec<Rule>,
}

impl Faults {
    /// Reads the file.
    ///
    /// # Errors
    /// The file can't be read, or is no list of rules.
    pub fn load(path: &Path) -> Result<Faults, SandboxError> {
        let text = std::fs::read_to_string(path)
            .map_err(|source| SandboxError::Io { path: path.to_owned(), source })?;
        Faults::parse(&text)
            .map_err(|reason| SandboxError::Faults { path: path.to_owned(), reason })
    }

    /// Reads the text of a file.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn parse(text: &str) -> Result<Faults, String> {
        let written: Vec<Written> = match text.trim_start().starts_with('[') {
            true => serde_json::from_str(text).map_err(|error| error.to_string())?,
            false => serde_saphyr::from_str(text).map_err(|error| error.to_string())?,
        };
        let rule = |(at, written): (usize, Written)| {
            let pattern = written.path.as_deref().map(Pattern::new).transpose();
            let pattern = pattern.map_err(|reason| format!("path of rule {}: {reason}", at + 1))?;
            if let Some(service) = &written.service
                && !matches!(service.as_str(), "cloudflare" | "ssm" | "sts" | "kubernetes")
            {
                return Err(format!("service of rule {}: unknown: {service}", at + 1));
            }
            let coded = written.code.is_some() || written.message.is_some();
            if coded && (written.status.is_none() || written.body.is_some()) {
                return Err(format!("rule {}: a code goes with a status, without a body", at + 1));
            }
            Ok(Rule { written, pattern, seen: 0, hit: 0 })
        };
        let rules = written.into_iter().enumerate().map(rule).collect::<Result<_, _>>()?;
        Ok(Faults { rules })
    }

    /// Whether some call may be answered from the world before the last change.
    pub fn have_lag(&self) -> bool {
        self.rules.iter().any(|rule| rule.written.lag)
    }

    /// How many calls each rule has hit.
    pub fn hits(&self) -> Vec<u64> {
        self.rules.iter().map(|rule| rule.hit).collect()
    }

    /// Counts one call and tells what happens to it.
    pub fn next(&mut self, asked: &Asked<'_>) -> Option<Fault> {
        let mut found = None;
        for (at, rule) in self.rules.iter_mut().enumerate() {
            let Written { service: wanted, method: verb, .. } = &rule.written;
            let fits = wanted.as_ref().is_none_or(|wanted| wanted == asked.service)
                && verb.as_ref().is_none_or(|verb| verb.eq_ignore_ascii_case(asked.method))
                && rule.written.mutating.is_none_or(|wanted| wanted == asked.mutating)
                && rule.pattern.as_ref().is_none_or(|p| asked.paths.iter().any(|at| p.fits(at)));
            if !fits {
                continue;
            }
            rule.seen += 1;
            let first = rule.written.nth;
            let due = match rule.written.chance {
                Some(chance) => rule.seen >= first && lot(rule, at, asked) < chance,
                None => rule.seen >= first && rule.seen - first < rule.written.times,
            };
            if due && found.is_none() {
                rule.hit += 1;
                found = Some(fault(&rule.written));
            }
        }
        found
    }
}

/// A number from 0 to 1 that depends on the rule, the call, and how often the rule has been asked.
fn lot(rule: &Rule, at: usize, asked: &Asked<'_>) -> f64 {
    let mut digest = Sha256::new();
    for number in [rule.written.seed, at as u64, rule.seen] {
        digest.update(number.to_be_bytes());
    }
    digest.update(asked.method);
    digest.update(asked.paths.first().copied().unwrap_or_default());
    let bytes = digest.finalize();
    let number = bytes.iter().take(4).fold(0_u32, |number, byte| (number << 8) | u32::from(*byte));
    f64::from(number) / f64::from(u32::MAX)
}

fn fault(written: &Written) -> Fault {
    let drop = written.drop.or(written.reset.then_some(Drop::Before));
    Fault {
        delay: Duration::from_millis(written.delay_ms),
        drop,
        reset: written.reset,
        status: written.status,
        code: written.code.as_ref().map(|code| match code {
            Code::Number(number) => number.to_string(),
            Code::Name(name) => name.clone(),
        }),
        message: written.message.clone(),
        body: written.body.clone(),
        headers: written.headers.clone().into_iter().collect(),
        effect: written.effect,
        hold: written.hold,
        tell: written.tell,
        ask: written.ask,
        late: written.late,
        lag: written.lag,
        truncate: written.truncate,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn next(faults: &mut Faults, service: &str, method: &str, paths: &[&str]) -> Option<Fault> {
        faults.next(&Asked { service, method, paths, mutating: method != "GET" })
    }

    #[test]
    fn the_nth_call_and_those_after_it_are_hit() {
        let mut faults =
            Faults::parse("- {service: ssm, path: 'Put*', nth: 2, times: 2, status: 500}").unwrap();
        let hits: Vec<bool> =
            (0..5).map(|_| next(&mut faults, "ssm", "POST", &["PutParameter"]).is_some()).collect();
        assert_eq!(hits, [false, true, true, false, false]);
        assert_eq!(faults.hits(), [2]);
        assert!(next(&mut faults, "cloudflare", "POST", &["PutParameter"]).is_none());
    }

    #[test]
    fn patterns_are_globs_or_regular_expressions() {
        let json = r#"[{"method": "post", "path": "*/dns_records", "drop": "after"},
                       {"path": "^/api/v1/", "times": 9, "reset": true}]"#;
        let mut faults = Faults::parse(json).unwrap();
        let path = ["/client/v4/zones/1/dns_records", "/zones/1/dns_records"];
        let hit = next(&mut faults, "cloudflare", "POST", &path).unwrap();
        assert_eq!(hit.drop, Some(Drop::After));
        let hit = next(&mut faults, "kubernetes", "GET", &["/api/v1/pods"]).unwrap();
        assert!(hit.reset && hit.drop == Some(Drop::Before));
        assert!(next(&mut faults, "kubernetes", "GET", &["/apis/v1/pods"]).is_none());
    }

    #[test]
    fn chance_hits_its_share_and_the_same_calls_each_time() {
        let text = "- {mutating: true, chance: 0.3, seed: 7, status: 500}";
        let hits = || -> Vec<bool> {
            let mut faults = Faults::parse(text).unwrap();
            (0..1000).map(|_| next(&mut faults, "ssm", "POST", &["x"]).is_some()).collect()
        };
        let count = hits().iter().filter(|hit| **hit).count();
        assert!((250..350).contains(&count), "{count}");
        assert_eq!(hits(), hits());
        assert!(next(&mut Faults::parse(text).unwrap(), "ssm", "GET", &["x"]).is_none());
    }

    #[test]
    fn mistakes_are_named() {
        for wrong in
            ["- {pth: x}", "- {code: 1013}", "- {path: '^('}", "- {service: s3}", "- {drop: never}"]
        {
            assert!(Faults::parse(wrong).is_err(), "{wrong}");
        }
    }
}
