//! What may be kept of a secret: text that tells equal values from others, and nothing else.
//!
//! Values with at least 128 random bits get a salted HMAC-SHA-256; values that a person chose get
//! Argon2id, since those could be guessed.

use argon2::{Algorithm, Argon2, Params, Version};
use base64::prelude::*;
use hmac::{Hmac, KeyInit, Mac};
use sha2::{Digest, Sha256};

use crate::model::Json;
use crate::model::secret::Secret;
use crate::model::value::{SecretPart, Special, canonical_text};

const RANDOM: &str = "hmac-sha256";
const CHOSEN: &str = "argon2id";
/// How many places of a text are tried for where a secret in it ends: each may cost an Argon2id.
const TRIES: usize = 64;

/// The fingerprint of a value with at least 128 random bits.
pub fn of_random(secret: &Secret, salt: [u8; 16]) -> String {
    let salt = BASE64_STANDARD_NO_PAD.encode(salt);
    format!("{RANDOM}:{salt}:{}", hmac(secret, &salt))
}

/// The fingerprint of a value that a person chose.
pub fn of_chosen(secret: &Secret, salt: [u8; 16]) -> String {
    let salt = BASE64_STANDARD_NO_PAD.encode(salt);
    format!("{CHOSEN}:{salt}:{}", argon2id(secret, &salt))
}

/// Whether a fingerprint is of this value.
pub fn is_of(fingerprint: &str, secret: &Secret) -> bool {
    let mut parts = fingerprint.splitn(3, ':');
    match (parts.next(), parts.next(), parts.next()) {
        (Some(RANDOM), Some(salt), Some(hash)) => hmac(secret, salt) == hash,
        (Some(CHOSEN), Some(salt), Some(hash)) => argon2id(secret, salt) == hash,
        _ => false,
    }
}

/// Whether a value that was read is the recorded one; None where too little is recorded to tell.
pub fn is_kept(kept: &Json, read: &Secret) -> Option<bool> {
    match Special::of(kept) {
        Some(Special::Secret(parts)) => fits(&parts, read.expose()),
        Some(Special::Text(_) | Special::Unknown(_)) => None,
        None => kept.as_str().map(|kept| kept == read.expose()),
    }
}

fn fits(parts: &[SecretPart], text: &str) -> Option<bool> {
    match parts {
        [] => Some(text.is_empty()),
        [SecretPart::Literal(literal), rest @ ..] => match text.strip_prefix(literal.as_str()) {
            Some(text) => fits(rest, text),
            None => Some(false),
        },
        [SecretPart::From { fingerprint: None, .. }, ..] => None,
        [SecretPart::From { fingerprint: Some(known), .. }] => {
            Some(is_of(known, &Secret::new(text)))
        }
        [SecretPart::From { fingerprint: Some(known), .. }, rest @ ..] => {
            let [SecretPart::Literal(next), ..] = rest else { return None };
            let ends = text.char_indices().map(|(at, _)| at).chain([text.len()]);
            let mut ends = ends.filter(|at| text[*at..].starts_with(next.as_str()));
            for end in ends.by_ref().take(TRIES) {
                if is_of(known, &Secret::new(&text[..end])) {
                    return fits(rest, &text[end..]);
                }
            }
            ends.next().is_none().then_some(false)
        }
    }
}

fn hmac(secret: &Secret, salt: &str) -> String {
    // HMAC takes keys of every length, so there is no error to handle.
    match Hmac::<Sha256>::new_from_slice(salt.as_bytes()) {
        Ok(mut mac) => {
            mac.update(secret.expose().as_bytes());
            BASE64_STANDARD_NO_PAD.encode(mac.finalize().into_bytes())
        }
        Err(_) => String::new(),
    }
}

fn argon2id(secret: &Secret, salt: &str) -> String {
    // OWASP's first choice: 19 MiB, 2 passes, 1 lane.
    let params = Params::new(19 * 1024, 2, 1, Some(32)).unwrap_or_default();
    let mut out = [0u8; 32];
    let argon = Argon2::new(Algorithm::Argon2id, Version::V0x13, params);
    match argon.hash_password_into(secret.expose().as_bytes(), salt.as_bytes(), &mut out) {
        Ok(()) => BASE64_STANDARD_NO_PAD.encode(out),
        Err(_) => String::new(),
    }
}

/// A fingerprint of public data, such as a request with its secrets as references.
pub fn of_public(value: &Json) -> String {
    hex(&Sha256::digest(canonical_text(value).as_bytes())[..16])
}

/// The mark that boxctl leaves where a name may hold one: tells stacks and addresses apart.
pub fn mark(lineage: &str, address: &crate::model::address::Address) -> String {
    hex(&Sha256::digest(format!("{lineage} {address}").as_bytes())[..5])
}

fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write;
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::model::secret::SecretId;

    #[test]
    fn a_fingerprint_knows_its_value_and_no_other() {
        let (a, b) = (Secret::new("correct horse"), Secret::new("correct hors"));
        for fingerprint in [of_random(&a, [7; 16]), of_chosen(&a, [7; 16])] {
            assert!(is_of(&fingerprint, &a), "{fingerprint}");
            assert!(!is_of(&fingerprint, &b), "{fingerprint}");
            assert!(!fingerprint.contains("horse"));
        }
        assert_ne!(of_random(&a, [1; 16]), of_random(&a, [2; 16]));
        assert!(!is_of("rot13:x:y", &a));
    }

    fn from(value: &str) -> SecretPart {
        let fingerprint = Some(of_random(&Secret::new(value), [3; 16]));
        SecretPart::From { source: SecretId::variable("x"), fingerprint }
    }

    fn literal(text: &str) -> SecretPart {
        SecretPart::Literal(text.to_owned())
    }

    #[test]
    fn a_value_is_told_from_others_by_what_is_recorded_of_it() {
        let unknown = SecretPart::From { source: SecretId::variable("x"), fingerprint: None };
        let many = ":".repeat(TRIES + 2);
        for (parts, read, expected) in [
            (vec![from("hunter2")], "hunter2", Some(true)),
            (vec![from("hunter2")], "hunter3", Some(false)),
            (vec![literal("user:"), from("hunter2")], "user:hunter2", Some(true)),
            (vec![literal("user:"), from("hunter2")], "uses:hunter2", Some(false)),
            (vec![from("a:b"), literal(":"), from("c")], "a:b:c", Some(true)),
            (vec![from("xa"), literal("aa")], "xaaa", Some(true)),
            (vec![from("a"), literal(":"), from("c")], "a:d", Some(false)),
            (vec![from("a"), literal(";")], "a", Some(false)),
            (vec![from("Ü"), literal("ü")], "Üü", Some(true)),
            // Where one ends and the other begins is not recorded.
            (vec![from("a"), from("b")], "ab", None),
            (vec![from("a"), literal(":")], &many, None),
            (vec![unknown], "a", None),
        ] {
            let kept = Special::Secret(parts).into_value();
            assert_eq!(is_kept(&kept, &Secret::new(read)), expected, "{kept} {read}");
        }
        assert_eq!(is_kept(&json!("one"), &Secret::new("one")), Some(true));
        assert_eq!(is_kept(&json!("one"), &Secret::new("two")), Some(false));
    }
}
