//! The cluster of a run: connects when it is first needed, repeats what may be repeated, and lets
//! no secret into a text.

use std::path::PathBuf;
use std::sync::RwLock;

use kube::Config;
use kube::config::{KubeConfigOptions, Kubeconfig};
use tokio::sync::OnceCell;

use crate::model::Json;
use crate::model::call::{Answer, Call, Listing, Service};
use crate::model::error::{CallError, Failure};
use crate::model::plan::Requests;
use crate::model::port::{Sending, Transport};
use crate::model::scope::{ApiResource, Scope};
use crate::model::secret::Secrets;
use crate::model::state::Target;

use super::kubernetes::KubernetesClient;
use super::retry::Retry;
use super::{chain, not_sent, reveal, scrub};

/// A cluster, connected to when something is sent.
pub struct Cluster {
    context: Option<String>,
    kubeconfig: Option<PathBuf>,
    retry: Retry,
    client: OnceCell<KubernetesClient>,
}

impl Cluster {
    /// The cluster of that context of the environment's kubeconfig; of the current context if none
    /// is named; of the file given instead, if one is.
    pub fn new(context: Option<String>, kubeconfig: Option<PathBuf>, retry: Retry) -> Self {
        Cluster { context, kubeconfig, retry, client: OnceCell::new() }
    }

    async fn client(&self) -> Result<&KubernetesClient, CallError> {
        self.client
            .get_or_try_init(|| async {
                let Some(path) = &self.kubeconfig else {
                    return KubernetesClient::connect(self.context.as_deref(), &self.retry.timing)
                        .await;
                };
                let failed = |error: &dyn std::error::Error| {
                    not_sent(Service::Kubernetes, "connection", "kubeconfig", chain(error))
                };
                let file = Kubeconfig::read_from(path).map_err(|error| failed(&error))?;
                let options = KubeConfigOptions::default();
                let config = Config::from_custom_kubeconfig(file, &options).await;
                let config = config.map_err(|error| failed(&error))?;
                KubernetesClient::with(config, &self.retry.timing).await
            })
            .await
    }
}

fn scrubbed(mut error: CallError, secrets: &RwLock<Secrets>) -> CallError {
    error.message = scrub(&error.message, secrets);
    error
}

/// What is repeated does no harm, since an apply or a delete comes to the same each time. What in the
/// end was answered by 503 may have taken effect all the same: whoever stands before the server
/// says so, too, and so does the server when its store changes its leader.
fn in_doubt(call: &Call, error: CallError) -> CallError {
    let failure =
        if call.mutating && error.status == Some(503) { Failure::Unknown } else { error.failure };
    CallError { failure, ..error }
}

impl Transport for Cluster {
    fn send<'a>(&'a self, call: &'a Call, secrets: &'a RwLock<Secrets>) -> Sending<'a, Answer> {
        Box::pin(async move {
            let client = self.client().await?;
            let body = match &call.body {
                Some(body) => Some(reveal(Service::Kubernetes, &call.path, body, secrets)?),
                None => None,
            };
            let operation = format!("{} {}", call.method.as_str(), call.path);
            let attempt = || async {
                self.retry.may_send(call, &operation)?;
                client.send(call, body.clone()).await
            };
            let sent = self.retry.run(call, attempt).await;
            match sent.map_err(|error| in_doubt(call, error)) {
                Ok(mut answer) if !answer.is_success() => {
                    // A refusal may quote the body.
                    let text = serde_json::to_string(&answer.body).unwrap_or_default();
                    let text = scrub(&text, secrets);
                    answer.body = serde_json::from_str(&text).unwrap_or(Json::Null);
                    Ok(answer)
                }
                Ok(answer) => Ok(answer),
                Err(error) => Err(scrubbed(error, secrets)),
            }
        })
    }

    fn list<'a>(&'a self, listing: &'a Listing) -> Sending<'a, Vec<Json>> {
        Box::pin(async move {
            let client = self.client().await?;
            self.retry.run(&listing.call, || client.list(listing)).await
        })
    }

    fn api_resources<'a>(&'a self) -> Sending<'a, Vec<ApiResource>> {
        Box::pin(async move {
            let client = self.client().await?;
            let call = Call::get(Service::Kubernetes, "/apis");
            self.retry.run(&call, || client.api_resources()).await
        })
    }

    fn target<'a>(&'a self, _service: Service, _scope: &'a Scope) -> Sending<'a, Target> {
        Box::pin(async move {
            let client = self.client().await?;
            let call = Call::get(Service::Kubernetes, "/api/v1/namespaces/kube-system");
            let uid = self.retry.run(&call, || client.cluster_uid()).await?;
            Ok(Target { kubernetes_cluster: Some(uid), ..Target::default() })
        })
    }

    fn skew_ms(&self, _service: Service) -> Option<i64> {
        self.client.get()?.skew_ms()
    }

    fn requests(&self) -> Requests {
        let kubernetes = self.client.get().map_or(0, KubernetesClient::requests);
        Requests { kubernetes, ..Requests::default() }
    }
}
