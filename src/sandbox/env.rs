//! What a handler may not make up itself: the time, fresh identifiers and undecided behaviour.

use jiff::Timestamp;
use rand::{Rng, SeedableRng, rngs::StdRng};

use super::quirks::{Quirk, Quirks};

/// A source of fresh identifiers and secrets.
pub struct Ids {
    rng: StdRng,
}

impl Ids {
    /// Seeded by the operating system: no two sandboxes share an identifier.
    pub fn random() -> Self {
        let mut seed = [0_u8; 32];
        rand::fill(&mut seed);
        Ids { rng: StdRng::from_seed(seed) }
    }

    /// The same identifiers in the same order for the same seed.
    pub fn seeded(seed: u64) -> Self {
        Ids { rng: StdRng::seed_from_u64(seed) }
    }

    /// `length` lower-case hexadecimal digits; accounts, zones and records have 32.
    pub fn hex(&mut self, length: usize) -> String {
        self.text(length, b"0123456789abcdef")
    }

    /// A random (version 4) UUID in lower case.
    pub fn uuid(&mut self) -> String {
        let mut bytes = [0_u8; 16];
        self.rng.fill_bytes(&mut bytes);
        uuid::Builder::from_random_bytes(bytes).into_uuid().to_string()
    }

    /// `length` letters and digits.
    pub fn token(&mut self, length: usize) -> String {
        self.text(length, b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789")
    }

    /// `length` capital letters and digits, as access key ids have them.
    pub fn capitals(&mut self, length: usize) -> String {
        self.text(length, b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567")
    }

    /// `length` decimal digits.
    pub fn digits(&mut self, length: usize) -> String {
        self.text(length, b"0123456789")
    }

    /// `length` random bytes.
    pub fn bytes(&mut self, length: usize) -> Vec<u8> {
        let mut bytes = vec![0_u8; length];
        self.rng.fill_bytes(&mut bytes);
        bytes
    }

    fn text(&mut self, length: usize, alphabet: &[u8]) -> String {
        let mut bytes = vec![0_u8; length];
        self.rng.fill_bytes(&mut bytes);
        bytes.iter().map(|b| char::from(alphabet[usize::from(*b) % alphabet.len()])).collect()
    }
}

/// What one request is handled with.
pub struct Env {
    /// The time of the request.
    pub now: Timestamp,
    /// Where new identifiers come from.
    pub ids: Ids,
    /// Seeds the ways that behaviours go which the references leave open; none: all the usual way.
    pub seed: Option<u64>,
    /// Which of them go the other way whatever the seed.
    pub quirks: Quirks,
    /// The person in whose name the request is made in the dashboard; none: by its token.
    pub user: Option<String>,
    /// Calls of Access so far, while some are throttled.
    pub access_calls: u64,
}

impl Env {
    /// The usual ways.
    pub fn new(now: Timestamp, ids: Ids) -> Self {
        Env { now, ids, seed: None, quirks: Quirks::default(), user: None, access_calls: 0 }
    }

    /// Whether a quirk is on, or the seed has it so; the same one is as long as the sandbox has the
    /// same seed.
    pub fn open(&self, quirk: Quirk) -> bool {
        let seeded = |seed| super::mangle::hash(seed, &format!("quirk {}", quirk.name())) % 2 == 1;
        self.quirks.has(quirk) || self.seed.is_some_and(seeded)
    }

    /// The time as the Cloudflare API writes it: RFC 3339 in UTC with microseconds.
    pub fn stamp(&self) -> String {
        stamp(self.now)
    }
}

/// `time` in RFC 3339 in UTC with microseconds (contract 1.1).
pub fn stamp(time: Timestamp) -> String {
    time.strftime("%Y-%m-%dT%H:%M:%S%.6fZ").to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn identifiers_have_the_shapes_of_the_contract() {
        let mut ids = Ids::seeded(7);
        let hex = ids.hex(32);
        assert_eq!(hex.len(), 32);
        assert!(hex.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b)));
        let uuid = ids.uuid();
        assert_eq!(uuid.len(), 36);
        assert_eq!(uuid.parse::<uuid::Uuid>().unwrap().get_version_num(), 4);
        assert_ne!(ids.uuid(), uuid);
        assert_eq!(Ids::seeded(7).hex(32), hex);
    }

    #[test]
    fn times_have_microseconds_and_end_in_z() {
        let time: Timestamp = "2026-01-02T03:04:05.5Z".parse().unwrap();
        assert_eq!(stamp(time), "2026-01-02T03:04:05.500000Z");
    }
}
