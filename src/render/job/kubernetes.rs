//! A CronJob with a service account that can only read what the job has to read.

use std::collections::BTreeMap;

use super::{Job, comment, quoted};

/// One kind of objects that are read in one place.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Grant {
    /// The namespace; None for kinds of the whole cluster.
    pub namespace: Option<String>,
    /// The API group; empty for the core group.
    pub group: String,
    /// The name in paths.
    pub plural: String,
    /// The names that it is limited to; empty for all.
    pub names: Vec<String>,
    /// What is done with them: `get`, `list`.
    pub verbs: &'static [&'static str],
}

/// What a job in a cluster has to be told beside.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct InCluster {
    /// The namespace that it runs in.
    pub namespace: String,
    /// The image of boxctl.
    pub image: String,
    /// The image of git that fetches the project's files.
    pub git_image: String,
    /// Where the files are fetched from.
    pub repository: String,
    /// The branch; None: the repository's default.
    pub branch: Option<String>,
    /// Names of contexts in the project's files: they mean the cluster that it runs in.
    pub contexts: Vec<String>,
    /// What it reads of the cluster.
    pub grants: Vec<Grant>,
}

/// The manifests, to be applied by kubectl.
pub fn manifests(job: &Job, place: &InCluster) -> String {
    let mut out = head(job, place);
    out.push_str(&account(job, place));
    out.push_str(&roles(job, place));
    if job.cluster {
        out.push_str(&kubeconfig(job, place));
    }
    out.push_str(&cron_job(job, place));
    out
}

fn head(job: &Job, place: &InCluster) -> String {
    let (name, namespace) = (job.name(), &place.namespace);
    let mut secret = format!("kubectl --namespace {namespace} create secret generic {name}");
    if !job.cloudflare.is_empty() {
        secret.push_str(" \\\n      --from-literal=CLOUDFLARE_API_TOKEN=...");
    }
    if !job.aws.is_empty() {
        secret.push_str(" \\\n      --from-literal=AWS_ACCESS_KEY_ID=... --from-literal=AWS_SECRET_ACCESS_KEY=...");
    }
    for name in &job.environment {
        secret.push_str(&format!(" \\\n      --from-literal={name}=..."));
    }
    let mut lines = vec![
        job.purpose(),
        String::new(),
        format!("  kubectl create namespace {namespace}"),
        format!("  {secret}"),
        "  kubectl apply -f THIS-FILE".to_owned(),
        format!("  kubectl --namespace {namespace} create job --from=cronjob/{name} {name}-now"),
        String::new(),
    ];
    lines.extend(job.permissions());
    if place.repository.starts_with("https://") {
        lines.push("For a private repository the Secret also has the key GIT_TOKEN.".to_owned());
    }
    comment(&lines)
}

fn metadata(job: &Job, namespace: Option<&str>) -> String {
    let name = job.name();
    match namespace {
        Some(namespace) => format!("metadata: {{name: {name}, namespace: {}}}\n", plain(namespace)),
        None => format!("metadata: {{name: {name}}}\n"),
    }
}

/// A name as it is, where it can only be read as one.
fn plain(name: &str) -> String {
    let is_plain = name.starts_with(|c: char| c.is_ascii_lowercase())
        && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '-' || c == '.')
        && !["true", "false", "null", "yes", "no", "on", "off", "y", "n"].contains(&name);
    if is_plain { name.to_owned() } else { quoted(name) }
}

fn account(job: &Job, place: &InCluster) -> String {
    format!("---\napiVersion: v1\nkind: ServiceAccount\n{}", metadata(job, Some(&place.namespace)))
}

/// A role and its binding for each namespace, and one for the cluster.
fn roles(job: &Job, place: &InCluster) -> String {
    let mut places: BTreeMap<Option<&str>, Vec<&Grant>> = BTreeMap::new();
    for grant in &place.grants {
        places.entry(grant.namespace.as_deref()).or_default().push(grant);
    }
    let mut out = String::new();
    for (namespace, grants) in places {
        let kind = if namespace.is_some() { "Role" } else { "ClusterRole" };
        let meta = metadata(job, namespace);
        out.push_str(&format!(
            "---\napiVersion: rbac.authorization.k8s.io/v1\nkind: {kind}\n{meta}rules:\n"
        ));
        grants.iter().for_each(|grant| out.push_str(&rule(grant)));
        out.push_str(&format!(
            "---\napiVersion: rbac.authorization.k8s.io/v1\nkind: {kind}Binding\n{meta}\
             roleRef: {{apiGroup: rbac.authorization.k8s.io, kind: {kind}, name: {name}}}\n\
             subjects: [{{kind: ServiceAccount, name: {name}, namespace: {}}}]\n",
            plain(&place.namespace),
            name = job.name(),
        ));
    }
    out
}

fn rule(grant: &Grant) -> String {
    let verbs = grant.verbs.join(", ");
    let names: Vec<String> = grant.names.iter().map(|name| quoted(name)).collect();
    let only = match names.is_empty() {
        true => String::new(),
        false => format!(", resourceNames: [{}]", names.join(", ")),
    };
    format!(
        "  - {{apiGroups: [{}], resources: [{}], verbs: [{verbs}]{only}}}\n",
        quoted(&grant.group),
        quoted(&grant.plural)
    )
}

/// A kubeconfig in which the names of the project's files mean the cluster of the pod.
fn kubeconfig(job: &Job, place: &InCluster) -> String {
    let names = match place.contexts.is_empty() {
        true => &["here".to_owned()][..],
        false => &place.contexts,
    };
    let contexts: Vec<String> = names
        .iter()
        .map(|name| format!("{{name: {}, context: {{cluster: here, user: job}}}}", quoted(name)))
        .collect();
    format!(
        "---\napiVersion: v1\nkind: ConfigMap\n{}data:\n  kubeconfig: |\n    \
         apiVersion: v1\n    kind: Config\n    clusters:\n      - name: here\n        cluster:\n          \
         server: https://kubernetes.default.svc\n          \
         certificate-authority: /var/run/secrets/kubernetes.io/serviceaccount/ca.crt\n    \
         users: [{{name: job, user: {{tokenFile: /var/run/secrets/kubernetes.io/serviceaccount/token}}}}]\n    \
         contexts: [{}]\n    current-context: {}\n",
        metadata(job, Some(&place.namespace)),
        contexts.join(", "),
        quoted(&names[0])
    )
}

fn cron_job(job: &Job, place: &InCluster) -> String {
    let name = job.name();
    let project = match job.dir.is_empty() {
        true => "/files/project".to_owned(),
        false => format!("/files/project/{}", job.dir),
    };
    let words: Vec<String> =
        ["--project", &project].into_iter().chain(job.words()).map(quoted).collect();
    let mut clone = vec!["clone", "--depth=1"];
    if let Some(branch) = &place.branch {
        clone.extend(["--branch", branch]);
    }
    clone.extend([place.repository.as_str(), "/files/project"]);
    let clone: Vec<String> = clone.into_iter().map(quoted).collect();
    let zone = job.time_zone.iter().map(|zone| format!("  timeZone: {}\n", quoted(zone)));
    let zone: String = zone.collect();
    let region = job.aws_region.iter().map(|region| {
        format!("\n                - {{name: AWS_REGION, value: {}}}", quoted(region))
    });
    let region: String = region.collect();
    let (config_env, config_mount, config_volume) = match job.cluster {
        true => (
            "\n                - {name: KUBECONFIG, value: /config/kubeconfig}",
            "\n                - {name: config, mountPath: /config, readOnly: true}".to_owned(),
            format!("\n            - {{name: config, configMap: {{name: {name}}}}}"),
        ),
        false => ("", String::new(), String::new()),
    };
    let locked = "securityContext: {allowPrivilegeEscalation: false, readOnlyRootFilesystem: true, \
                  capabilities: {drop: [ALL]}}";
    format!(
        r#"---
apiVersion: batch/v1
kind: CronJob
{meta}spec:
  schedule: {schedule}
{zone}  concurrencyPolicy: Forbid
  startingDeadlineSeconds: 3600
  successfulJobsHistoryLimit: 1
  failedJobsHistoryLimit: 3
  jobTemplate:
    spec:
      # A job that fails has found drift (exit 2) or could not look (1): its log says which.
      backoffLimit: 0
      activeDeadlineSeconds: 900
      template:
        spec:
          restartPolicy: Never
          serviceAccountName: {name}
          securityContext:
            runAsNonRoot: true
            runAsUser: 65532
            runAsGroup: 65532
            fsGroup: 65532
            seccompProfile: {{type: RuntimeDefault}}
          initContainers:
            - name: files
              image: {git}
              args: [{clone}]
              env:
                - {{name: HOME, value: /files}}
                - {{name: GIT_TERMINAL_PROMPT, value: "0"}}{token}
              {locked}
              volumeMounts: [{{name: files, mountPath: /files}}]
          containers:
            - name: drift
              image: {image}
              args: [{words}]
              envFrom: [{{secretRef: {{name: {name}, optional: true}}}}]
              env:
                - {{name: HOME, value: /files}}{region}{config_env}
              resources: {{requests: {{cpu: 50m, memory: 64Mi}}, limits: {{memory: 512Mi}}}}
              {locked}
              volumeMounts:
                - {{name: files, mountPath: /files}}{config_mount}
          volumes:
            - {{name: files, emptyDir: {{}}}}{config_volume}
"#,
        meta = metadata(job, Some(&place.namespace)),
        schedule = quoted(&job.schedule),
        git = quoted(&place.git_image),
        image = quoted(&place.image),
        clone = clone.join(", "),
        words = words.join(", "),
        token = token(&place.repository, &name),
    )
}

/// Sends a token to where the repository is, should the server ask for one: git's own settings,
/// given by its environment.
fn token(repository: &str, secret: &str) -> String {
    let Some(host) = repository
        .strip_prefix("https://")
        .and_then(|rest| rest.split('/').next())
        .filter(|host| !host.is_empty() && !host.contains('@'))
    else {
        return String::new();
    };
    let from = "{secretKeyRef: {name: ".to_owned() + secret + ", key: GIT_TOKEN, optional: true}}";
    format!(
        "\n                - {{name: GIT_TOKEN, valueFrom: {from}}}\
         \n                - {{name: GIT_CONFIG_COUNT, value: \"1\"}}\
         \n                - {{name: GIT_CONFIG_KEY_0, value: {}}}\
         \n                - {{name: GIT_CONFIG_VALUE_0, value: {}}}",
        quoted(&format!("url.https://x-access-token:$(GIT_TOKEN)@{host}/.insteadOf")),
        quoted(&format!("https://{host}/"))
    )
}
