//! What happens in a cluster while time passes: controllers act, and watches tell of it.

use std::sync::atomic::Ordering;
use std::sync::{Arc, Weak};
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::response::Response;
use jiff::Timestamp;

use super::{Shared, response};
use crate::sandbox::core::Core;
use crate::sandbox::exchange::Reply;
use crate::sandbox::kubernetes::Watch;

/// How often reading alone lets the secret store look again.
const STORE_INTERVAL: Duration = Duration::from_millis(200);
/// How often reading alone lets the kubelets look again.
const POD_INTERVAL: Duration = Duration::from_millis(20);
/// How often the kubelets look again when nobody reads.
const TICK: Duration = Duration::from_millis(250);

/// Lets the cluster's controllers act in time, whether or not anybody asks, until the sandbox is
/// gone.
pub async fn keep(shared: Weak<Shared>) {
    loop {
        tokio::time::sleep(TICK).await;
        let Some(shared) = shared.upgrade() else { return };
        if shared.stopping.load(Ordering::Relaxed) {
            return;
        }
        let mut core = shared.core.lock().await;
        core.env.now = Timestamp::now();
        if Shared::pods_are_due(&mut core) {
            shared.pass_time(&mut core).await;
        }
    }
}

/// An answer that goes on for as long as its watch lasts.
pub fn followed(mut reply: Reply, shared: Arc<Shared>, watch: Box<Watch>) -> Response {
    let beginning = Bytes::from(std::mem::take(&mut reply.body));
    let first = futures::stream::iter([Ok::<_, std::io::Error>(beginning)]);
    let rest = futures::stream::unfold((shared, watch), |(shared, mut watch)| async move {
        let more = shared.follow(&mut watch).await?;
        Some((Ok(Bytes::from(more)), (shared, watch)))
    });
    let mut response = response(reply);
    *response.body_mut() = Body::from_stream(futures::StreamExt::chain(first, rest));
    response
}

impl Shared {
    /// Lets controllers do what they do when time alone has passed.
    pub async fn pass_time(&self, core: &mut Core) {
        if !self.store_is_due(core) && !Self::pods_are_due(core) {
            return;
        }
        let before = core.world.cluster.revision();
        self.settle(core).await;
        if core.world.cluster.revision() != before {
            self.keep(core);
        }
    }

    /// Waits until something has changed for a watch; `None` when it is over.
    async fn follow(&self, watch: &mut Watch) -> Option<Vec<u8>> {
        loop {
            tokio::time::sleep(POD_INTERVAL).await;
            if self.stopping.load(Ordering::Relaxed) {
                return None;
            }
            let mut core = self.core.lock().await;
            core.env.now = Timestamp::now();
            self.pass_time(&mut core).await;
            if watch.is_over(core.env.now) {
                return None;
            }
            let more = core.world.cluster.follow(watch, core.env.now);
            if !more.is_empty() {
                return Some(more);
            }
        }
    }

    /// Whether pods are on their way, and were not looked at for a while.
    fn pods_are_due(core: &mut Core) -> bool {
        if core.store_read.is_some_and(|last| last.elapsed() < POD_INTERVAL) {
            return false;
        }
        core.world.cluster.is_moving()
    }

    /// Whether the secret store looks again although nothing was written here: it wants
    /// something, and has not looked for a while.
    fn store_is_due(&self, core: &mut Core) -> bool {
        if core.store_read.is_some_and(|last| last.elapsed() < STORE_INTERVAL) {
            return false;
        }
        !core.world.cluster.wanted_parameters(core.env.now).is_empty()
    }
}
