//! The I/O of loading: reading files, listing directories, running the commands of stacks
//! ([`super::command`]).

use std::io;
use std::path::{Component, Path, PathBuf};

use super::command::{Command, CommandError, CommandOutput};

/// Where files come from: the disk, or a table in tests.
pub trait Files {
    /// The text of a file.
    ///
    /// # Errors
    /// It is not there, can't be read, or is not UTF-8.
    fn read(&self, path: &Path) -> io::Result<String>;

    /// Whether the path is a directory.
    fn is_dir(&self, path: &Path) -> bool;

    /// What is in a directory, as whole paths in any order.
    ///
    /// # Errors
    /// It is not there or can't be read.
    fn list(&self, dir: &Path) -> io::Result<Vec<PathBuf>>;

    /// Runs a command to its end.
    ///
    /// # Errors
    /// It can't be started, fails, takes too long, or prints too much or no text.
    fn run(&self, command: &Command<'_>) -> Result<CommandOutput, CommandError>;
}

/// The real files.
#[derive(Clone, Copy, Debug, Default)]
pub struct Disk;

impl Files for Disk {
    fn read(&self, path: &Path) -> io::Result<String> {
        std::fs::read_to_string(path)
    }

    fn is_dir(&self, path: &Path) -> bool {
        path.is_dir()
    }

    fn list(&self, dir: &Path) -> io::Result<Vec<PathBuf>> {
        std::fs::read_dir(dir)?.map(|entry| entry.map(|entry| entry.path())).collect()
    }

    fn run(&self, command: &Command<'_>) -> Result<CommandOutput, CommandError> {
        super::command::run(command)
    }
}

/// The directory with the project file, at or above `from`.
pub fn find_project(from: &Path) -> Option<PathBuf> {
    from.ancestors().find(|dir| dir.join(super::project::FILE).is_file()).map(Path::to_owned)
}

/// A path without `.` and `..`, as far as the text alone says.
pub(super) fn tidy(path: &Path) -> PathBuf {
    let mut out = PathBuf::new();
    for component in path.components() {
        match component {
            Component::CurDir => {}
            Component::ParentDir
                if matches!(out.components().next_back(), Some(Component::Normal(_))) =>
            {
                out.pop();
            }
            other => out.push(other),
        }
    }
    out
}

/// The files that a pattern stands for, in order of their names.
///
/// # Errors
/// The pattern can't be read, or a directory can't.
pub(super) fn matching(dir: &Path, pattern: &str, files: &dyn Files) -> io::Result<Vec<PathBuf>> {
    const DEEP: usize = 16;
    let pattern = pattern.strip_prefix("./").unwrap_or(pattern);
    if !pattern.contains(['*', '?', '[', '{']) {
        return Ok(vec![tidy(&dir.join(pattern))]);
    }
    let glob = globset::GlobBuilder::new(pattern)
        .literal_separator(true)
        .build()
        .map_err(|error| io::Error::new(io::ErrorKind::InvalidInput, error))?
        .compile_matcher();
    let parts: Vec<&str> = pattern.split('/').collect();
    let fixed = parts.iter().take_while(|part| !part.contains(['*', '?', '[', '{'])).count();
    let root = parts.iter().take(fixed).fold(dir.to_owned(), |path, part| path.join(part));
    let depth = if pattern.contains("**") { DEEP } else { parts.len() - fixed };
    let mut found = Vec::new();
    if files.is_dir(&root) {
        walk(&root, depth, files, &mut |path| {
            if path.strip_prefix(dir).is_ok_and(|relative| glob.is_match(relative)) {
                found.push(path.to_owned());
            }
        })?;
    }
    found.sort();
    Ok(found)
}

fn walk(
    dir: &Path,
    depth: usize,
    files: &dyn Files,
    visit: &mut impl FnMut(&Path),
) -> io::Result<()> {
    for path in files.list(dir)? {
        let hidden = path.file_name().is_some_and(|name| name.to_string_lossy().starts_with('.'));
        if hidden {
            continue;
        }
        if !files.is_dir(&path) {
            visit(&path);
        } else if depth > 1 {
            walk(&path, depth - 1, files, visit)?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_tidied_by_their_text() {
        for (given, expected) in [
            ("a/b/../c", "a/c"),
            ("./a/./b", "a/b"),
            ("../a", "../a"),
            ("a/../../b", "../b"),
            ("/a/../b", "/b"),
        ] {
            assert_eq!(tidy(Path::new(given)), PathBuf::from(expected), "{given}");
        }
    }
}
