//! Documents sealed with a key of the user's (XChaCha20-Poly1305): who can read the place can read
//! nothing but the names of stacks, and who can write to it can't make a document that is taken for
//! one.

use std::fmt;
use std::io::{self, Read, Write};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use chacha20poly1305::aead::{Aead, Generate, KeyInit, Payload};
use chacha20poly1305::{Key, XChaCha20Poly1305, XNonce};
use flate2::Compression;
use flate2::read::GzDecoder;
use flate2::write::GzEncoder;

use super::backend::{Backend, Document, Durable, Telling};
use super::claims::Claims;
use super::error::StoreError;
use super::lock::{Lock, LockError, LockInfo};
use super::remote::Whole;
use crate::model::port::{Expected, Turn};
use crate::model::secret::Secret;

/// The first line of a sealed document.
const HEAD: &[u8] = b"boxctl sealed 1\n";
/// How long a nonce is, in bytes.
const NONCE: usize = 24;

/// A place whose documents are sealed. Locks are not: they say who holds them.
pub(super) struct Sealed {
    inner: Arc<dyn Backend>,
    cipher: XChaCha20Poly1305,
}

impl fmt::Debug for Sealed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Sealed").field(&self.inner).finish()
    }
}

/// What is sealed can't be packed any more, and some places have little room.
fn pack(content: &[u8]) -> io::Result<Vec<u8>> {
    let mut packed = GzEncoder::new(Vec::new(), Compression::default());
    packed.write_all(content)?;
    packed.finish()
}

fn unpack(packed: &[u8]) -> io::Result<Vec<u8>> {
    let mut content = Vec::new();
    GzDecoder::new(packed).read_to_end(&mut content)?;
    Ok(content)
}

/// The key that a text stands for: 32 bytes in Base64. What a person can remember can be guessed
/// by who has a document to try it on.
pub(super) fn key(text: &Secret) -> Result<Key, &'static str> {
    text.key().map(|key| Key::from(*key)).ok_or("it is not 32 bytes in Base64")
}

/// Whether a document is sealed, with whatever key.
pub(super) fn is_sealed(document: &[u8]) -> bool {
    document.starts_with(HEAD)
}

/// Whether a document is not sealed: what a place says of itself has to be read without a key.
fn is_open(name: &str) -> bool {
    name.starts_with('.')
}

impl Sealed {
    pub(super) fn over(inner: Arc<dyn Backend>, key: &Key) -> Sealed {
        Sealed { inner, cipher: XChaCha20Poly1305::new(key) }
    }

    fn broken(&self, name: &str, reason: &'static str) -> StoreError {
        StoreError::Sealed { path: self.inner.path(name), reason }
    }

    fn seal(&self, name: &str, content: &[u8]) -> Result<Vec<u8>, StoreError> {
        let nonce = XNonce::generate();
        // The name goes in: a document can't be put in another's place.
        let packed = pack(content).map_err(|_| self.broken(name, "it can't be packed"))?;
        let payload = Payload { msg: &packed, aad: name.as_bytes() };
        let sealed = self.cipher.encrypt(&nonce, payload);
        let sealed = sealed.map_err(|_| self.broken(name, "it can't be sealed"))?;
        let mut document = HEAD.to_vec();
        document.extend_from_slice(&nonce);
        document.extend_from_slice(&sealed);
        Ok(document)
    }

    fn unseal(&self, name: &str, document: &[u8]) -> Result<Vec<u8>, StoreError> {
        let Some(body) = document.strip_prefix(HEAD) else {
            return Err(self.broken(name, "it is not sealed, and `state.encryption` is set"));
        };
        let (nonce, sealed) =
            body.split_first_chunk::<NONCE>().ok_or_else(|| self.broken(name, "it is cut off"))?;
        let payload = Payload { msg: sealed, aad: name.as_bytes() };
        let packed = self
            .cipher
            .decrypt(&XNonce::from(*nonce), payload)
            .map_err(|_| self.broken(name, "it was sealed with another key, or changed since"))?;
        unpack(&packed).map_err(|_| self.broken(name, "it can't be unpacked"))
    }
}

impl Backend for Sealed {
    fn is_shared(&self) -> bool {
        self.inner.is_shared()
    }

    fn path(&self, name: &str) -> PathBuf {
        self.inner.path(name)
    }

    fn read(&self, name: &str) -> Result<Option<Document>, StoreError> {
        let Some(found) = self.inner.read(name)? else { return Ok(None) };
        if is_open(name) {
            return Ok(Some(found));
        }
        let content = self.unseal(name, &found.content)?;
        Ok(Some(Document { content, ..found }))
    }

    fn put(&self, name: &str, content: &[u8], expected: &Expected) -> Result<Expected, StoreError> {
        if is_open(name) {
            return self.inner.put(name, content, expected);
        }
        self.inner.put(name, &self.seal(name, content)?, expected)
    }

    fn appender(
        self: Arc<Self>,
        name: &str,
        content: Vec<u8>,
        _is_torn: bool,
        claims: &Claims,
    ) -> Result<Box<dyn Durable>, StoreError> {
        Ok(Box::new(Whole::of(self, name, content, claims)))
    }

    fn remove(&self, name: &str, expected: Option<&Expected>) -> Result<(), StoreError> {
        self.inner.remove(name, expected)
    }

    fn names(&self, dir: &str) -> Result<Vec<String>, StoreError> {
        self.inner.names(dir)
    }

    fn sweep(&self, stack: &str) -> Result<(), StoreError> {
        self.inner.sweep(stack)
    }

    fn lock(
        &self,
        stacks: &[&str],
        info: &LockInfo,
        timeout: Duration,
        tell: Telling<'_>,
    ) -> Result<Lock, LockError> {
        self.inner.lock(stacks, info, timeout, tell)
    }

    fn turn(&self, name: &str) -> Result<Option<Box<dyn Turn>>, StoreError> {
        self.inner.turn(name)
    }

    fn holder(&self, stack: &str) -> Result<Option<String>, StoreError> {
        self.inner.holder(stack)
    }

    fn free(&self, stack: &str) -> Result<Option<String>, StoreError> {
        self.inner.free(stack)
    }

    fn everything(&self) -> Result<Vec<String>, StoreError> {
        self.inner.everything()
    }
}
