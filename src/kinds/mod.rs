//! One file per kind of resource: what to send, and how to read the answer. No I/O.
