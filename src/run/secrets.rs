//! Secrets of a step: fetched or made, fingerprinted, never kept.

use base64::prelude::*;
use sha2::{Digest, Sha256};

use crate::engine::fingerprint;
use crate::engine::plan::needed_secrets;
use crate::engine::resolve::{resolve, with_fingerprints};
use crate::engine::rotation::leaves_secrets;
use crate::model::Json;
use crate::model::address::Address;
use crate::model::change::Change;
use crate::model::journal::Effect;
use crate::model::kind::{Kind, Recipe};
use crate::model::resource::Resource;
use crate::model::secret::{Secret, SecretId};
use crate::model::value::has_unknown;

use super::stack_run::{StackRun, StepError};
use super::{read, write};

impl<'a> StackRun<'a> {
    /// The spec as it is sent: references resolved, names looked up, secrets at hand.
    pub(super) async fn spec(
        &self,
        kind: &dyn Kind,
        resource: &Resource,
        change: &Change,
    ) -> Result<Json, StepError> {
        let resolved = {
            let shared = self.shared();
            resolve(&resource.spec, &shared.known)
        };
        if has_unknown(&resolved) {
            return Err(StepError::other("a value that it needs is still unknown"));
        }
        let spec = kind.declare(&resolved, &self.scope()).map_err(|problem| StepError::Other {
            message: problem.message,
            causes: Vec::new(),
            hint: problem.hint,
        })?;
        let keeps = self.keeps(kind, change, &spec);
        for source in needed_secrets(&spec) {
            if !(keeps && self.is_unsaid(&source)) {
                self.fetch_secret(&source).await?;
            }
        }
        Ok(with_fingerprints(&spec, &mut |source| self.fingerprint(source)))
    }

    /// Whether a secret was said once, by its API, and not to this run.
    fn is_unsaid(&self, source: &SecretId) -> bool {
        let Some((address, output)) = source.as_output() else { return false };
        let kind = (self.context.kinds)(address.kind());
        let said_once = kind.is_some_and(|kind| kind.said_once().contains(&output));
        said_once && read(self.context.secrets).get(source).is_none()
    }

    /// Whether a change is one of what stands around a secret that is said no more: the object keeps
    /// the one that it has.
    pub(super) fn keeps(&self, kind: &dyn Kind, change: &Change, spec: &Json) -> bool {
        leaves_secrets(kind, change)
            && needed_secrets(spec).iter().any(|source| self.is_unsaid(source))
    }

    /// Makes sure that a secret is at hand.
    pub(super) async fn fetch_secret(&self, source: &SecretId) -> Result<(), StepError> {
        if read(self.context.secrets).get(source).is_some() {
            return Ok(());
        }
        let missing = || StepError::other(format!("the secret {source} is not at hand"));
        let (address, output) = source.as_output().ok_or_else(missing)?;
        let kind = (self.context.kinds)(address.kind()).ok_or_else(missing)?;
        let remote = self.shared().remotes.get(&address).cloned().ok_or_else(missing)?;
        let (call, pointer) = kind.reveal(&remote, output, &self.scope()).ok_or_else(missing)?;
        let answer = self.context.transport.send(&call, self.context.secrets).await?;
        let value = answer.body.pointer(&pointer).and_then(Json::as_str).ok_or_else(missing)?;
        write(self.context.secrets).insert(source.clone(), Secret::new(value));
        self.keep_fingerprint(&address, output, source)
    }

    /// What was taken over has no fingerprint of its secrets until they are read for the first
    /// time; without one, the next plan could not tell that nothing changed.
    fn keep_fingerprint(
        &self,
        address: &Address,
        output: &str,
        source: &SecretId,
    ) -> Result<(), StepError> {
        let recorded = self.shared().state.resources.get(address).cloned();
        let (Some(mut record), Some(fingerprint)) = (recorded, self.fingerprint(source)) else {
            return Ok(());
        };
        if record.secrets.get(output) == Some(&fingerprint) {
            return Ok(());
        }
        record.secrets.insert(output.to_owned(), fingerprint);
        let address = address.clone();
        self.effects(vec![Effect::Record { address, record: Box::new(record) }])
    }

    /// The fingerprint of a secret: the recorded one where it still fits.
    pub(super) fn fingerprint(&self, source: &SecretId) -> Option<String> {
        let (address, output) = source.as_output()?;
        if address.is_kubernetes() {
            return None;
        }
        let shared = self.shared();
        let recorded =
            shared.state.resources.get(&address).and_then(|r| r.secrets.get(output).cloned());
        let secrets = read(self.context.secrets);
        let secret = secrets.get(source)?;
        match recorded {
            Some(recorded) if fingerprint::is_of(&recorded, secret) => Some(recorded),
            _ => Some(self.new_fingerprint(&address, output, secret)),
        }
    }

    /// A fingerprint that tells nothing of the value, even where a person chose it.
    pub(super) fn new_fingerprint(
        &self,
        address: &Address,
        output: &str,
        secret: &Secret,
    ) -> String {
        let spec = self.declared.get(address).map_or(&Json::Null, |resource| &resource.spec);
        let kind = (self.context.kinds)(address.kind());
        if kind.is_none_or(|kind| kind.is_chosen(spec, output)) {
            fingerprint::of_chosen(secret, self.context.salt())
        } else {
            fingerprint::of_random(secret, self.context.salt())
        }
    }

    pub(super) fn make_secrets(&self, kind: &dyn Kind, address: &Address, spec: &Json) {
        for (output, recipe) in kind.makes(spec) {
            let value = match recipe {
                Recipe::Characters(length) => self.characters(length),
                Recipe::HashedCharacters => {
                    let characters = self.characters(64);
                    BASE64_STANDARD.encode(Sha256::digest(characters.as_bytes()))
                }
            };
            let id = SecretId::output(address, output);
            write(self.context.secrets).insert(id, Secret::new(value));
        }
    }

    /// Letters and digits, each equally likely.
    pub(super) fn characters(&self, length: usize) -> String {
        const ALPHABET: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
        let mut out = String::with_capacity(length);
        while out.len() < length {
            let mut bytes = [0u8; 64];
            self.context.outside.random(&mut bytes);
            // Bytes from 248 on would favour the first letters.
            let fair = bytes.iter().filter(|byte| **byte < 248).map(|byte| usize::from(*byte % 62));
            out.extend(
                fair.take(length - out.len()).filter_map(|at| ALPHABET.get(at)).map(|b| *b as char),
            );
        }
        out
    }
}
