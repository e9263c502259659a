//! A sandbox's directory: its lock, its world, its kubeconfig, and who serves it.

use std::fs::{DirBuilder, File, OpenOptions, TryLockError};
use std::io::{ErrorKind, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::SandboxError;
use super::world::World;

const LOCK: &str = "lock";
const WORLD: &str = "world.json";
const ENDPOINT: &str = "endpoint.json";
const KUBECONFIG: &str = "kubeconfig";

/// How often, and how far apart, a lock or a starting server is asked for again.
const PATIENCE: (u32, Duration) = (100, Duration::from_millis(20));

/// What `endpoint.json` says of a running server.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Endpoint {
    /// `http://ADDRESS:PORT`.
    pub url: String,
    /// The environment by which clients reach it, in order.
    pub environment: Vec<(String, String)>,
    /// A Cloudflare API token that may only read.
    pub cloudflare_read_token: String,
    /// An AWS access key that may only read: id and secret.
    pub aws_read_key: (String, String),
    /// A kubeconfig whose user may only read.
    pub kubeconfig_read: PathBuf,
}

/// A directory held by this process.
pub struct Directory {
    path: PathBuf,
    _lock: File,
}

fn io(path: &Path) -> impl FnOnce(std::io::Error) -> SandboxError {
    let path = path.to_owned();
    move |source| SandboxError::Io { path, source }
}

impl Directory {
    /// Makes the directory (mode 0700) where it is missing, and locks it.
    ///
    /// # Errors
    /// Another process holds it, or it can't be made.
    pub fn hold(path: &Path) -> Result<Directory, SandboxError> {
        if let Some(parent) = path.parent().filter(|parent| !parent.as_os_str().is_empty()) {
            std::fs::create_dir_all(parent).map_err(io(parent))?;
        }
        match DirBuilder::new().mode(0o700).create(path) {
            Err(error) if error.kind() != ErrorKind::AlreadyExists => return Err(io(path)(error)),
            _ => {}
        }
        let path = path.canonicalize().map_err(io(path))?;
        let lock = path.join(LOCK);
        let mut options = OpenOptions::new();
        let file = options.create(true).write(true).truncate(false).mode(0o600).open(&lock);
        let file = file.map_err(io(&lock))?;
        // Somebody who only looks holds a shared lock for an instant.
        for _ in 0..5 {
            match file.try_lock() {
                Ok(()) => return Ok(Directory { path, _lock: file }),
                Err(TryLockError::Error(error)) => return Err(io(&lock)(error)),
                Err(TryLockError::WouldBlock) => std::thread::sleep(PATIENCE.1),
            }
        }
        Err(SandboxError::Held { dir: path })
    }

    /// Where the kubeconfig is.
    pub fn kubeconfig(&self) -> PathBuf {
        self.path.join(KUBECONFIG)
    }

    /// Where the kubeconfig of the user who may only read is.
    pub fn kubeconfig_read(&self) -> PathBuf {
        self.path.join(format!("{KUBECONFIG}-read"))
    }

    /// The kept world, if there is one.
    ///
    /// # Errors
    /// It can't be read.
    pub fn world(&self) -> Result<Option<World>, SandboxError> {
        world(&self.path)
    }

    /// Keeps the world.
    ///
    /// # Errors
    /// It can't be written.
    pub fn keep(&self, world: &World) -> Result<(), SandboxError> {
        let path = self.path.join(WORLD);
        let text = serde_json::to_vec(world)
            .map_err(|source| SandboxError::Damaged { path: path.clone(), source })?;
        replace(&path, &text)
    }

    /// Says where the server answers.
    ///
    /// # Errors
    /// It can't be written.
    pub fn announce(&self, endpoint: &Endpoint) -> Result<(), SandboxError> {
        let path = self.path.join(ENDPOINT);
        let text = serde_json::to_vec_pretty(endpoint)
            .map_err(|source| SandboxError::Damaged { path: path.clone(), source })?;
        replace(&path, &text)
    }

    /// Takes back what [`Directory::announce`] said.
    pub fn retract(&self) {
        let path = self.path.join(ENDPOINT);
        if let Err(error) = std::fs::remove_file(&path)
            && error.kind() != ErrorKind::NotFound
        {
            tracing::warn!(%error, path = %path.display(), "cannot be removed");
        }
    }

    /// Writes a kubeconfig with one context.
    ///
    /// # Errors
    /// It can't be written.
    pub fn write_kubeconfig(
        &self,
        path: &Path,
        url: &str,
        context: &str,
        token: &str,
    ) -> Result<(), SandboxError> {
        let (url, context) = (Value::from(url), Value::from(context));
        let token = Value::from(token);
        let text = format!(
            "apiVersion: v1\nkind: Config\nclusters:\n- name: sandbox\n  cluster:\n    \
             server: {url}\ncontexts:\n- name: {context}\n  context:\n    cluster: sandbox\n    \
             user: sandbox\ncurrent-context: {context}\nusers:\n- name: sandbox\n  user:\n    \
             token: {token}\n"
        );
        replace(path, text.as_bytes())
    }
}

/// Writes a file of mode 0600 whole or not at all.
fn replace(path: &Path, text: &[u8]) -> Result<(), SandboxError> {
    let temporary = path.with_extension("new");
    let mut options = OpenOptions::new();
    let file = options.create(true).write(true).truncate(true).mode(0o600).open(&temporary);
    let mut file = file.map_err(io(&temporary))?;
    file.write_all(text).map_err(io(&temporary))?;
    std::fs::rename(&temporary, path).map_err(io(path))
}

fn read(path: &Path) -> Result<Option<Vec<u8>>, SandboxError> {
    match std::fs::read(path) {
        Ok(text) => Ok(Some(text)),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(io(path)(error)),
    }
}

fn world(dir: &Path) -> Result<Option<World>, SandboxError> {
    let path = dir.join(WORLD);
    let Some(text) = read(&path)? else { return Ok(None) };
    let world = serde_json::from_slice(&text);
    world.map(Some).map_err(|source| SandboxError::Damaged { path, source })
}

fn endpoint(dir: &Path) -> Result<Option<Endpoint>, SandboxError> {
    let path = dir.join(ENDPOINT);
    let Some(text) = read(&path)? else { return Ok(None) };
    let endpoint = serde_json::from_slice(&text);
    endpoint.map(Some).map_err(|source| SandboxError::Damaged { path, source })
}

/// Whether a server holds the directory.
fn is_held(dir: &Path) -> Result<bool, SandboxError> {
    let path = dir.join(LOCK);
    let file = match File::open(&path) {
        Ok(file) => file,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(false),
        Err(error) => return Err(io(&path)(error)),
    };
    match file.try_lock_shared() {
        Ok(()) => Ok(false),
        Err(TryLockError::WouldBlock) => Ok(true),
        Err(TryLockError::Error(error)) => Err(io(&path)(error)),
    }
}

/// The environment of the server that holds `dir`, if one does; one that has just begun is waited
/// for.
///
/// # Errors
/// The directory can't be read, or its holder never answers.
pub fn running_environment(dir: &Path) -> Result<Option<Vec<(String, String)>>, SandboxError> {
    for _ in 0..PATIENCE.0 {
        if !is_held(dir)? {
            return Ok(None);
        }
        if let Some(endpoint) = endpoint(dir)? {
            return Ok(Some(endpoint.environment));
        }
        std::thread::sleep(PATIENCE.1);
    }
    Err(SandboxError::Silent { dir: dir.to_owned() })
}

/// Empties the directory; the next server there begins anew.
///
/// # Errors
/// A server holds it, or a file can't be removed.
pub fn reset(dir: &Path) -> Result<(), SandboxError> {
    if !dir.exists() {
        return Ok(());
    }
    let held = Directory::hold(dir)?;
    for path in
        [held.path.join(WORLD), held.path.join(ENDPOINT), held.kubeconfig(), held.kubeconfig_read()]
    {
        match std::fs::remove_file(&path) {
            Err(error) if error.kind() != ErrorKind::NotFound => return Err(io(&path)(error)),
            _ => {}
        }
    }
    Ok(())
}

/// The whole world that `dir` keeps, as JSON with secrets in plain; null where there is none.
///
/// # Errors
/// It can't be read.
pub fn dump(dir: &Path) -> Result<Value, SandboxError> {
    Ok(world(dir)?.map_or(Value::Null, |world| world.dump()))
}
