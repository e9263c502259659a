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
# The project: who and where. It works on the sandbox as it is, without any account:
#
#   boxctl --sandbox plan       what would be done
#   boxctl --sandbox apply      does it
#
# For your own accounts put your own values below. Credentials never stand in files; they come from
# the environment: CLOUDFLARE_API_TOKEN, the AWS SDK's own chain (AWS_PROFILE, keys, SSO) and
# KUBECONFIG. Then `boxctl plan` (it only reads), then `boxctl apply`.
#
# If you come from Terraform: this file is what the provider and backend blocks were. No `init` has to
# be run after it changes, and there is nothing to download.

project: @NAME@

# Where the stacks are. One file is one stack: what a directory with its own state was. Those of one
# project are planned in one run, and no two of them can make the same hostname.
stacks: [stacks/*.yaml]

cloudflare:
  account_id: 00000000000000000000000000000000 # in the address of the dashboard
  zones: [example.org]                         # the account's domains that hostnames may be in

aws: {region: us-east-1}                       # where the tunnels' tokens are kept (SSM)

# The cluster, where stacks have manifests: the kubeconfig's current context if nothing is said.
# kubernetes: {context: home}

# state/<stack>.json, with no secret in it. One checkout on one disk: commit it if only you apply.
# Where several people or CI runners apply: {backend: s3, bucket: NAME}, or
# {backend: kubernetes, namespace: NAME}; `boxctl state migrate` moves what there is.
state: {backend: local, dir: state}

# What is not needed at first:
# values: {hello: {replicas: 2}}               # values of a stack's variables (terraform.tfvars)
# limits: {destroy: 30%}                       # a plan that deletes more of a stack is refused
# retired: [old]                               # stacks whose file is gone and that are to be destroyed
# connector:                                   # what `connector:` of a service makes
#   image: docker.io/cloudflare/cloudflared:2026.8.2
#   args: [--protocol, http2]
#   secret_store: {kind: ClusterSecretStore, name: parameterstore}   # External Secrets reads SSM
";

const STACK: &str = "\
# A stack: what is planned and applied together. `boxctl expand hello` prints the resources that it
# stands for; each can be written by hand instead, under `resources:`.

services:
  hello:                                       # the name of what is made: tunnel.hello, dns_record.hello, …
    # DNS: a proxied CNAME to the tunnel (cloudflare_record).
    hostname: hello.example.org
    # Where the tunnel leads, as the cluster names it (cloudflare_tunnel and its _config). The tunnel's
    # token goes to the SSM parameter hello-tunnel-token, as a SecureString (aws_ssm_parameter).
    origin: http://hello.hello.svc.cluster.local:80
    # Who gets in (cloudflare_access_application and _policy). Always said: `access: public` lets
    # everyone in. The hostname is never routed before this is in force.
    access:
      session_duration: 24h
      allow: [{login_method: GitHub}]          # an identity provider of the account, by its name
      # require: [{email: me@example.org}]     # and only this one
    # cloudflared: let boxctl make its Deployment and ExternalSecret (`connector:` in boxctl.yaml says
    # what they look like; the namespace has to be there, or among the manifests), or say which one of
    # your manifests it is.
    # connector: {namespace: hello}
    # connector: {workload: Deployment/hello/cloudflared}

# Kubernetes manifests, as kubectl reads them, applied server-side as they are.
# manifests: [../manifests/hello]

# variables:                                   # used as ${var.replicas}
#   replicas: {default: 1}

# settings:                                    # by address, also with * and **
#   tunnel.hello: {adopt: true}                # it is there already, and differs: take it over (import)
#   k8s.Deployment/hello/*: {ignore: [spec.replicas]}   # ignore_changes
#   k8s.ConfigMap/hello/x: {protect: true}     # prevent_destroy; claims and namespaces have it anyway
# forget: [dns_record.old]                     # leaves the state, stays in the world (removed)

# What Terraform made already: `boxctl plan` finds it by its name and shows what is identical as
# `adopt`, which `boxctl apply --adopt` takes over, and what differs as a conflict. Then
# `terraform state rm` it there, so that only one of the two thinks that it owns it.
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
