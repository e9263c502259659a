//! Wires the APIs up for a run: credentials and endpoints come from where their ecosystems keep
//! them, or, with `--sandbox`, from what the sandbox prints. Nothing else tells the two apart.

use std::path::PathBuf;
use std::sync::Arc;

use crate::model::event::Events;
use crate::model::port::Holding;
use crate::model::project::Project;
use crate::providers::cluster::Cluster;
use crate::providers::{Apis, Retry, Settings};

/// The variables that take the environment's place; None: the environment's own.
pub type Overrides = Option<Vec<(String, String)>>;

/// The APIs of a project; nothing is sent yet. What changes something is sent only while the locks
/// are held.
pub fn connect(
    project: &Project,
    overrides: &Overrides,
    events: Arc<dyn Events>,
    holding: Arc<dyn Holding>,
) -> Apis {
    let retry = Retry { timing: project.timing, events: Some(events), holding: Some(holding) };
    let Some(variables) = overrides else {
        let settings = Settings::from_env(project.aws_region.clone(), retry.clone());
        let cluster = Cluster::new(project.kubernetes_context.clone(), None, retry);
        return Apis::new(settings).with_kubernetes(Arc::new(cluster));
    };
    let get =
        |name: &str| variables.iter().find(|(key, _)| key == name).map(|(_, value)| value.clone());
    let cluster = Cluster::new(None, get("KUBECONFIG").map(PathBuf::from), retry.clone());
    Apis::new(Settings::from_variables(get, retry)).with_kubernetes(Arc::new(cluster))
}
