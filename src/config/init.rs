//! The files that `boxctl init` writes.

use std::path::PathBuf;

const GITIGNORE: &str = "\
# What boxctl keeps for itself on one machine.
.boxctl/
state/plans/
plans/
*.lock
";

const PROJECT: &str = "\
# The project: who and where. Secrets never stand here; credentials come from the environment
# (CLOUDFLARE_API_TOKEN, the AWS SDK's own chain, KUBECONFIG).
project: @NAME@
stacks: [stacks/*.yaml]
cloudflare:
  account_id: 00000000000000000000000000000000 # in the dashboard's address
  zones: [example.org]                         # domains of the account that hostnames may be in
aws: {region: us-east-1}
# kubernetes: {context: home}                  # the current context where nothing is said
state: {backend: local, dir: state}
# values: {hello: {replicas: 2}}               # lasting values of variables, by stack
# retired: [old]                               # stacks whose file is gone and that are to be destroyed
# limits: {destroy: 30%}
# connector:                                   # what generated cloudflared Deployments look like
#   image: docker.io/cloudflare/cloudflared:2026.8.2
#   args: [--protocol, http2]
#   secret_store: {kind: ClusterSecretStore, name: parameterstore}
";

const STACK: &str = "\
# A stack: one file, planned and applied as a unit. `boxctl expand hello` shows the resources that
# it stands for, `boxctl plan --sandbox` what applying it would do.
services:
  hello:
    hostname: hello.example.org
    origin: http://hello.hello.svc.cluster.local:80
    access:                                    # `access: public` lets everyone in
      session_duration: 24h
      allow: [{login_method: GitHub}]
      # require: [{email: me@example.org}]

# manifests:                                   # Kubernetes manifests, as kubectl reads them
#   - ../manifests/hello

# settings:
#   k8s.PersistentVolumeClaim/**: {protect: true}
";

/// The files of a new project, by path relative to its directory.
pub fn init_files(name: &str) -> Vec<(PathBuf, String)> {
    let quoted = serde_json::Value::String(name.to_owned()).to_string();
    vec![
        (PathBuf::from(super::project::FILE), PROJECT.replace("@NAME@", &quoted)),
        (PathBuf::from("stacks/hello.yaml"), STACK.to_owned()),
        (PathBuf::from(".gitignore"), GITIGNORE.to_owned()),
    ]
}
