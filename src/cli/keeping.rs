//! Opens the states of a project where they are kept.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use crate::model::error::{Report, Stop};
use crate::model::port::Objects;
use crate::model::project::{Keeping, Place, Project};
use crate::model::secret::Secret;
use crate::providers::Retry;
use crate::providers::bucket::{Bucket, BucketObjects};
use crate::providers::cluster::Cluster;
use crate::providers::cluster_objects::ClusterObjects;
use crate::store::{LeaseTiming, Store};

use super::session::store_stop;

/// The project's states; runs against the embedded sandbox never touch the real ones.
///
/// # Errors
/// As [`open`].
pub fn of(dir: &Path, project: &Project, sandbox: bool) -> Result<Store, Stop> {
    if sandbox {
        return Ok(Store::local(dir.join(".boxctl").join("sandbox-state")));
    }
    open(dir, project, &project.keeping)
}

/// The states in a place. Nothing is read yet.
///
/// # Errors
/// There is no key, or none that can be used.
pub fn open(dir: &Path, project: &Project, keeping: &Keeping) -> Result<Store, Stop> {
    let store = match objects(project, &keeping.place) {
        Ok(objects) => {
            let milliseconds = Duration::from_millis;
            let timing = LeaseTiming {
                dead: milliseconds(project.timing.lease_ms),
                backoff: milliseconds(project.timing.backoff_ms),
                backoff_max: milliseconds(project.timing.backoff_max_ms),
            };
            Store::shared(objects, timing).map_err(|error| store_stop(&error))?
        }
        Err(within) => Store::local(dir.join(within)),
    };
    match &keeping.key_env {
        None => Ok(store),
        Some(name) => store.sealed(&key(name)?).map_err(|why| {
            Stop::error(
                Report::error(format!("{name} can't be the key of the states"))
                    .cause(why)
                    .hint("`openssl rand -base64 32` makes one"),
            )
        }),
    }
}

/// The objects that several machines share, or the directory that they do not.
fn objects<'p>(project: &Project, place: &'p Place) -> Result<Arc<dyn Objects>, &'p Path> {
    let retry = Retry::from(project.timing);
    Ok(match place {
        Place::Local { dir } => return Err(dir),
        Place::S3 { bucket, prefix, region, endpoint } => {
            let bucket = Bucket {
                name: bucket.clone(),
                prefix: prefix.clone(),
                region: region.clone(),
                endpoint: endpoint.clone(),
            };
            let attempt = Duration::from_millis(project.timing.request_ms);
            Arc::new(BucketObjects::new(bucket, None, attempt))
        }
        Place::Kubernetes { namespace, context } => {
            let cluster = Cluster::new(context.clone(), None, retry);
            Arc::new(ClusterObjects::new(cluster, namespace.clone(), &project.name))
        }
    })
}

fn key(name: &str) -> Result<Secret, Stop> {
    let value = std::env::var(name).ok().filter(|value| !value.is_empty());
    value.map(Secret::new).ok_or_else(|| {
        Stop::error(
            Report::error(format!("{name} is not set"))
                .cause("`state.encryption.key_env` says that the key of the states is in it"),
        )
    })
}
