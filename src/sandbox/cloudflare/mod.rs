//! The Cloudflare v4 API of the sandbox.
