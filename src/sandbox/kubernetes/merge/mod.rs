//! Server-side apply: structured merge and managed fields.
