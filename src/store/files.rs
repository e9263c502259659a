//! Files that are there whole or not at all.

use std::fs::File;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use super::error::StoreError;

/// What is between the name of a file and the random end of the temporary one that is written in
/// its place.
const UNFINISHED: &str = ".unfinished-";

/// Writes a file by way of a temporary one beside it, mode 0600, and makes its name durable.
pub(super) fn replace(path: &Path, content: &[u8]) -> Result<(), StoreError> {
    let dir = parent(path);
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let prefix = format!(".{name}{UNFINISHED}");
    let written = (|| -> io::Result<()> {
        std::fs::create_dir_all(&dir)?;
        let mut file = tempfile::Builder::new().prefix(&prefix).tempfile_in(&dir)?;
        file.write_all(content)?;
        file.as_file().sync_all()?;
        file.persist(path).map_err(|error| error.error)?;
        sync_dir(&dir)
    })();
    written.map_err(|source| StoreError::Write { path: path.to_owned(), source })
}

/// Reads a file; None when there is none.
pub(super) fn read(path: &Path) -> Result<Option<Vec<u8>>, StoreError> {
    match std::fs::read(path) {
        Ok(content) => Ok(Some(content)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(source) => Err(StoreError::Read { path: path.to_owned(), source }),
    }
}

/// Removes a file, if there is one, and makes that durable.
pub(super) fn remove(path: &Path) -> Result<(), StoreError> {
    let removed = match std::fs::remove_file(path) {
        Ok(()) => sync_dir(&parent(path)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(error),
    };
    removed.map_err(|source| StoreError::Write { path: path.to_owned(), source })
}

/// Removes what [`replace`] left of a file when its process was killed. Nobody else may be
/// replacing that file.
pub(super) fn sweep(path: &Path) -> Result<(), StoreError> {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let prefix = format!(".{name}{UNFINISHED}");
    sweep_where(&parent(path), |left| left.starts_with(&prefix))
}

/// Removes what [`replace`] left of any file in a directory. Nobody else may be writing there.
pub(super) fn sweep_all(dir: &Path) -> Result<(), StoreError> {
    sweep_where(dir, |left| left.starts_with('.') && left.contains(UNFINISHED))
}

fn sweep_where(dir: &Path, is_left: impl Fn(&str) -> bool) -> Result<(), StoreError> {
    for left in names(dir)?.iter().filter(|left| is_left(left)) {
        remove(&dir.join(left))?;
    }
    Ok(())
}

/// The names of the files in a directory; none when there is no directory.
pub(super) fn names(dir: &Path) -> Result<Vec<String>, StoreError> {
    within(dir, Path::is_file)
}

/// The names of the directories in a directory; none when there is no directory.
pub(super) fn dirs(dir: &Path) -> Result<Vec<String>, StoreError> {
    within(dir, Path::is_dir)
}

fn within(dir: &Path, wanted: impl Fn(&Path) -> bool) -> Result<Vec<String>, StoreError> {
    let failed = |source| StoreError::Read { path: dir.to_owned(), source };
    let entries = match std::fs::read_dir(dir) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(source) => return Err(failed(source)),
    };
    let mut names = Vec::new();
    for entry in entries {
        let entry = entry.map_err(failed)?;
        if wanted(&entry.path()) {
            names.extend(entry.file_name().into_string());
        }
    }
    names.sort();
    Ok(names)
}

/// The directory that a file is in.
pub(super) fn parent(path: &Path) -> PathBuf {
    match path.parent() {
        Some(dir) if !dir.as_os_str().is_empty() => dir.to_owned(),
        _ => PathBuf::from("."),
    }
}

fn sync_dir(dir: &Path) -> io::Result<()> {
    File::open(dir)?.sync_all()
}
