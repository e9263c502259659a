//! Claims get volumes: an existing one that fits, else one that their storage class makes.

use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use super::events::{Said, Source};
use super::{MANAGER, going};
use crate::sandbox::kubernetes::Cluster;
use crate::sandbox::kubernetes::quantities::nanos;
use crate::sandbox::kubernetes::resources::find;
use crate::sandbox::kubernetes::value::{child, fields, items, metadata, set, text};

const CLAIM_PROTECTION: &str = "kubernetes.io/pvc-protection";
const VOLUME_PROTECTION: &str = "kubernetes.io/pv-protection";
const CONTROLLER: Source<'static> = Source::Controller("persistentvolume-controller");
/// How often it is said again what a claim waits for.
const RETRY: SignedDuration = SignedDuration::from_secs(15);
const SIZE: &str = "/spec/resources/requests/storage";

impl Cluster {
    pub(super) fn bind_volumes(&mut self, now: Timestamp) {
        for claim in self.all_of("", "persistentvolumeclaims") {
            if going(&claim) {
                self.release_claim(&claim);
            } else if text(&claim, "/status/phase") == "Bound" {
                self.grow(&claim, now);
            } else {
                self.bind(&claim, now);
            }
        }
        for volume in self.all_of("", "persistentvolumes") {
            self.tend_volume(&volume, now);
        }
    }

    /// A claim on its way out goes when no pod uses it.
    fn release_claim(&mut self, claim: &Value) {
        if !self.is_used(claim)
            && let Some(resource) = find(&self.store, "", "v1", "persistentvolumeclaims")
        {
            self.drop_finalizer(&resource, claim, CLAIM_PROTECTION);
        }
    }

    fn is_used(&self, claim: &Value) -> bool {
        self.users(claim).next().is_some()
    }

    fn users<'a>(&'a self, claim: &'a Value) -> impl Iterator<Item = &'a Value> {
        let namespace = text(claim, "/metadata/namespace");
        let name = text(claim, "/metadata/name");
        self.store.list("", "pods", Some(namespace)).into_iter().filter(move |pod| {
            items(pod, "/spec/volumes")
                .iter()
                .any(|v| text(v, "/persistentVolumeClaim/claimName") == name)
        })
    }

    fn bind(&mut self, claim: &Value, now: Timestamp) {
        let class = text(claim, "/spec/storageClassName").to_owned();
        let wanted = text(claim, "/spec/volumeName");
        let volumes = self.all_of("", "persistentvolumes");
        let fits = |volume: &&Value| {
            let name = text(volume, "/metadata/name");
            let named = !wanted.is_empty();
            let size = nanos(text(volume, "/spec/capacity/storage")) >= nanos(text(claim, SIZE));
            let mine = text(volume, "/spec/claimRef/uid") == text(claim, "/metadata/uid");
            let reserved = volume.pointer("/spec/claimRef").is_some()
                && text(volume, "/spec/claimRef/name") == text(claim, "/metadata/name")
                && text(volume, "/spec/claimRef/namespace") == text(claim, "/metadata/namespace")
                && text(volume, "/spec/claimRef/uid").is_empty();
            let free = volume.pointer("/spec/claimRef").is_none() || reserved;
            let same = text(volume, "/spec/storageClassName") == class && size;
            !going(volume) && (mine || free && if named { name == wanted } else { same })
        };
        if let Some(volume) = volumes.iter().find(fits) {
            self.join(claim, volume, now);
            return;
        }
        if class.is_empty() {
            let message = "no persistent volumes available for this claim and no storage class is \
                           set";
            let said = Said::normal("FailedBinding", message);
            return self.tell_again(claim, CONTROLLER, said, RETRY, now);
        }
        if !wanted.is_empty() {
            return;
        }
        let found = self.store.get("storage.k8s.io", "storageclasses", "", &class).cloned();
        let Some(class) = found else {
            let message = format!("storageclass.storage.k8s.io {class:?} not found");
            let said = Said::warning("ProvisioningFailed", &message);
            return self.tell_again(claim, CONTROLLER, said, RETRY, now);
        };
        if self.binds_late(claim) && !self.is_placed(claim) {
            let message = "waiting for first consumer to be created before binding";
            let said = Said::normal("WaitForFirstConsumer", message);
            return self.tell_again(claim, CONTROLLER, said, RETRY, now);
        }
        let driver = text(&class, "/provisioner");
        if driver == "kubernetes.io/no-provisioner" {
            return;
        }
        if let Some(volume) = self.put_as(MANAGER, &provisioned(claim, &class), now) {
            let message = format!(
                "Waiting for a volume to be created either by the external provisioner \
                 '{driver}' or manually by the system administrator. If volume creation is \
                 delayed, please verify that the provisioner is running and correctly registered."
            );
            self.tell(claim, CONTROLLER, Said::normal("ExternalProvisioning", &message), now);
            let name = text(&volume, "/metadata/name");
            let message = format!("Successfully provisioned volume {name}");
            self.tell(claim, CONTROLLER, Said::normal("ProvisioningSucceeded", &message), now);
            self.join(claim, &volume, now);
        }
    }

    /// Whether a claim's class binds it only when a pod that uses it has its node.
    pub(super) fn binds_late(&self, claim: &Value) -> bool {
        let class = text(claim, "/spec/storageClassName");
        let class = self.store.get("storage.k8s.io", "storageclasses", "", class);
        class.is_some_and(|c| text(c, "/volumeBindingMode") == "WaitForFirstConsumer")
    }

    fn is_placed(&self, claim: &Value) -> bool {
        self.users(claim).any(|pod| !text(pod, "/spec/nodeName").is_empty())
    }

    /// Ties a claim and a volume to each other.
    fn join(&mut self, claim: &Value, volume: &Value, now: Timestamp) {
        let mut volume = volume.clone();
        set(child(&mut volume, "spec"), "claimRef", Some(reference(claim)));
        self.update_as(MANAGER, &volume, now);
        let mut bound = claim.clone();
        let name = text(&volume, "/metadata/name");
        set(child(&mut bound, "spec"), "volumeName", Some(name.into()));
        let notes = fields(child(child(&mut bound, "metadata"), "annotations"));
        for key in ["pv.kubernetes.io/bind-completed", "pv.kubernetes.io/bound-by-controller"] {
            notes.insert(key.to_owned(), "yes".into());
        }
        metadata(&mut bound).shift_remove("resourceVersion");
        self.update_as(MANAGER, &bound, now);
        let status = json!({
            "phase": "Bound",
            "accessModes": volume.pointer("/spec/accessModes").cloned().unwrap_or_default(),
            "capacity": volume.pointer("/spec/capacity").cloned().unwrap_or_default(),
        });
        let (ns, key) = (text(claim, "/metadata/namespace"), text(claim, "/metadata/name"));
        self.set_status(MANAGER, "v1", "PersistentVolumeClaim", ns, key, status, now);
        self.set_status(
            MANAGER,
            "v1",
            "PersistentVolume",
            "",
            name,
            json!({"phase": "Bound"}),
            now,
        );
    }

    /// A bound claim that wants more gets more, where its class can give it.
    fn grow(&mut self, claim: &Value, now: Timestamp) {
        let wanted = text(claim, SIZE);
        if nanos(wanted) <= nanos(text(claim, "/status/capacity/storage")) {
            return;
        }
        let name = text(claim, "/spec/volumeName");
        let Some(mut volume) = self.store.get("", "persistentvolumes", "", name).cloned() else {
            return;
        };
        set(child(child(&mut volume, "spec"), "capacity"), "storage", Some(wanted.into()));
        self.update_as(MANAGER, &volume, now);
        let mut status = claim.get("status").cloned().unwrap_or_default();
        set(child(&mut status, "capacity"), "storage", Some(wanted.into()));
        let (ns, key) = (text(claim, "/metadata/namespace"), text(claim, "/metadata/name"));
        self.set_status(MANAGER, "v1", "PersistentVolumeClaim", ns, key, status, now);
    }

    fn tend_volume(&mut self, volume: &Value, now: Timestamp) {
        let name = text(volume, "/metadata/name");
        let claim = volume.pointer("/spec/claimRef");
        let (ns, key) = claim.map_or(("", ""), |c| (text(c, "/namespace"), text(c, "/name")));
        let uid = claim.map_or("", |c| text(c, "/uid"));
        let held = self
            .store
            .get("", "persistentvolumeclaims", ns, key)
            .is_some_and(|c| uid.is_empty() || text(c, "/metadata/uid") == uid);
        if going(volume) {
            if !held && let Some(resource) = find(&self.store, "", "v1", "persistentvolumes") {
                self.drop_finalizer(&resource, volume, VOLUME_PROTECTION);
            }
            return;
        }
        let lost = claim.is_some() && !uid.is_empty() && !held;
        let policy = text(volume, "/spec/persistentVolumeReclaimPolicy");
        let phase = match (lost, policy, claim.is_some()) {
            (true, "Delete", _) => {
                self.delete_as_controller(volume, now);
                return;
            }
            (true, ..) => "Released",
            (false, _, true) if !uid.is_empty() => return,
            _ => "Available",
        };
        self.set_status(MANAGER, "v1", "PersistentVolume", "", name, json!({"phase": phase}), now);
    }
}

fn reference(claim: &Value) -> Value {
    json!({
        "kind": "PersistentVolumeClaim", "apiVersion": "v1",
        "namespace": text(claim, "/metadata/namespace"), "name": text(claim, "/metadata/name"),
        "uid": text(claim, "/metadata/uid"),
        "resourceVersion": text(claim, "/metadata/resourceVersion"),
    })
}

fn provisioned(claim: &Value, class: &Value) -> Value {
    let name = format!("pvc-{}", text(claim, "/metadata/uid"));
    let driver = text(class, "/provisioner");
    json!({
        "apiVersion": "v1", "kind": "PersistentVolume",
        "metadata": {"name": name, "annotations": {"pv.kubernetes.io/provisioned-by": driver}},
        "spec": {
            "accessModes": claim.pointer("/spec/accessModes").cloned().unwrap_or_default(),
            "capacity": {"storage": text(claim, SIZE)},
            "claimRef": reference(claim),
            "csi": {"driver": driver, "volumeHandle": name},
            "persistentVolumeReclaimPolicy": text(class, "/reclaimPolicy"),
            "storageClassName": text(class, "/metadata/name"),
            "volumeMode": claim.pointer("/spec/volumeMode").cloned().unwrap_or_default(),
        },
    })
}
