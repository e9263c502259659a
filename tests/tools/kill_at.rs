//! Loaded into a process (LD_PRELOAD): counts what it makes durable in one directory, and kills it
//! with SIGKILL at one of these points, or has the disk fail from there on.
//!
//! `KILL_DIR`: the directory. `KILL_AT`: the number of the point, from 1. `KILL_COUNT`: a file that
//! gets one byte for each point. `KILL_ERROR`: instead of the kill, this point and all that come
//! after it fail with this error number; a write that is half done is a short one. A write has two points: before it, and when half of it is done; a
//! sync of data has one, after it; a sync of a directory has two, since a rename lies between. Of
//! files that nobody reads before they are renamed, and of locks, only the first write counts.
#![crate_type = "cdylib"]

use std::ffi::{CStr, c_char, c_int, c_void};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};

unsafe extern "C" {
    fn __errno_location() -> *mut c_int;
    fn dlsym(handle: *mut c_void, name: *const c_char) -> *mut c_void;
    fn getpid() -> c_int;
    fn kill(pid: c_int, signal: c_int) -> c_int;
    fn open(path: *const c_char, flags: c_int, ...) -> c_int;
    fn readlink(path: *const c_char, buffer: *mut c_char, size: usize) -> isize;
}

const NEXT: *mut c_void = -1_isize as *mut c_void;
const SIGKILL: c_int = 9;
const APPEND: c_int = 0o1 | 0o2000;

type Write = unsafe extern "C" fn(c_int, *const c_void, usize) -> isize;
type Sync = unsafe extern "C" fn(c_int) -> c_int;

struct Settings {
    dir: Vec<u8>,
    at: u64,
    count: c_int,
    error: c_int,
    write: Write,
    fsync: Sync,
    fdatasync: Sync,
}

fn settings() -> &'static Settings {
    static SETTINGS: OnceLock<Settings> = OnceLock::new();
    SETTINGS.get_or_init(|| {
        let text = |name: &str| std::env::var(name).unwrap_or_default();
        let next = |name: &CStr| unsafe { dlsym(NEXT, name.as_ptr()) };
        let mut path = text("KILL_COUNT").into_bytes();
        path.push(0);
        let count = if path.len() > 1 { unsafe { open(path.as_ptr().cast(), APPEND) } } else { -1 };
        unsafe {
            Settings {
                dir: text("KILL_DIR").into_bytes(),
                at: text("KILL_AT").parse().unwrap_or(0),
                count,
                error: text("KILL_ERROR").parse().unwrap_or(0),
                write: std::mem::transmute::<*mut c_void, Write>(next(c"write")),
                fsync: std::mem::transmute::<*mut c_void, Sync>(next(c"fsync")),
                fdatasync: std::mem::transmute::<*mut c_void, Sync>(next(c"fdatasync")),
            }
        }
    })
}

#[derive(PartialEq)]
enum Meant {
    No,
    /// Nobody reads it as it is.
    Aside,
    Yes,
}

/// Whether a file lies in the directory, or is it.
fn meant(settings: &Settings, file: c_int) -> Meant {
    let mut link = *b"/proc/self/fd/0000000000\0";
    let mut number = file;
    for at in (14..24).rev() {
        link[at] = b'0' + u8::try_from(number % 10).unwrap_or(0);
        number /= 10;
    }
    // The kernel takes no leading zeroes.
    let first = link[14..23].iter().position(|digit| *digit != b'0').unwrap_or(9);
    let mut name = [0_u8; 32];
    name[..14].copy_from_slice(&link[..14]);
    name[14..25 - first].copy_from_slice(&link[14 + first..]);
    let mut path = [0_u8; 4096];
    let size = unsafe { readlink(name.as_ptr().cast(), path.as_mut_ptr().cast(), path.len()) };
    let Ok(size) = usize::try_from(size) else { return Meant::No };
    let path = &path[..size];
    if !path.starts_with(&settings.dir) {
        return Meant::No;
    }
    let aside = path.ends_with(b".lock") || path.windows(12).any(|part| part == b".unfinished-");
    if aside { Meant::Aside } else { Meant::Yes }
}

fn is_next(settings: &Settings) -> bool {
    static PASSED: AtomicU64 = AtomicU64::new(0);
    if settings.count >= 0 {
        unsafe { (settings.write)(settings.count, c".".as_ptr().cast(), 1) };
    }
    let point = PASSED.fetch_add(1, Ordering::SeqCst) + 1;
    point == settings.at || settings.error != 0 && settings.at != 0 && point > settings.at
}

/// Ends the process, or says that the call is to fail.
fn end(settings: &Settings) -> bool {
    if settings.error != 0 {
        unsafe { *__errno_location() = settings.error };
        return true;
    }
    unsafe { kill(getpid(), SIGKILL) };
    loop {
        std::hint::spin_loop();
    }
}

/// A point; whether the call is to fail there.
fn pass(settings: &Settings) -> bool {
    is_next(settings) && end(settings)
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn write(file: c_int, bytes: *const c_void, size: usize) -> isize {
    let settings = settings();
    let meant = meant(settings, file);
    if meant != Meant::No && pass(settings) {
        return -1;
    }
    if meant == Meant::Yes && is_next(settings) {
        let half = unsafe { (settings.write)(file, bytes, size / 2) };
        end(settings);
        return half;
    }
    unsafe { (settings.write)(file, bytes, size) }
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn fdatasync(file: c_int) -> c_int {
    let settings = settings();
    let result = unsafe { (settings.fdatasync)(file) };
    if meant(settings, file) == Meant::Yes && pass(settings) {
        return -1;
    }
    result
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn fsync(file: c_int) -> c_int {
    let settings = settings();
    let meant = meant(settings, file) == Meant::Yes;
    if meant && pass(settings) {
        return -1;
    }
    let result = unsafe { (settings.fsync)(file) };
    if meant && pass(settings) {
        return -1;
    }
    result
}
