//! The sandbox's own page of faults, `/sandbox/faults`: a list that is put there is planned in place
//! of what was, and getting it says how many calls each fault has hit.

use std::sync::PoisonError;
use std::sync::atomic::Ordering;

use serde_json::json;

use super::Shared;
use crate::sandbox::exchange::{Received, Reply, Service};
use crate::sandbox::faults::Faults;

/// The page's path.
pub(super) const PATH: &str = "/sandbox/faults";

impl Shared {
    /// The page, for who bears the Cloudflare API token.
    pub(super) async fn planned(&self, received: &Received) -> Reply {
        if let Some(refusal) = self.core.lock().await.stranger(received) {
            return refusal;
        }
        let refusal = |status, text: &str| Reply::refusal(Service::Sandbox, status, text);
        let mut faults = self.faults.lock().unwrap_or_else(PoisonError::into_inner);
        match received.method.as_str() {
            "GET" => {}
            "PUT" => match Faults::parse(&String::from_utf8_lossy(&received.body)) {
                Ok(planned) => {
                    self.lags.store(planned.have_lag(), Ordering::Relaxed);
                    *faults = planned;
                }
                Err(reason) => return refusal(400, &reason),
            },
            _ => return refusal(405, "there is GET and PUT"),
        }
        Reply::json(200, &json!({ "hits": faults.hits() }))
    }
}
