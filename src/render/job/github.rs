//! A workflow that opens, updates and closes one issue.

use super::{Job, quoted};

/// The workflow. `image` is the image of boxctl.
pub fn workflow(job: &Job, image: &str) -> String {
    let name = job.name();
    let zone = job.time_zone.iter().map(|zone| format!(", timezone: {}", quoted(zone)));
    let zone: String = zone.collect();
    let directory = match job.dir.is_empty() {
        true => String::new(),
        false => format!(" --project {}", shell(&job.dir)),
    };
    let mut env = Vec::new();
    if !job.cloudflare.is_empty() {
        env.push("CLOUDFLARE_API_TOKEN: ${{ secrets.BOXCTL_DRIFT_CLOUDFLARE_API_TOKEN }}");
    }
    let (mut rights, mut login) = (String::new(), String::new());
    if !job.aws.is_empty() {
        rights.push_str(", id-token: write");
        let region =
            job.aws_region.clone().unwrap_or_else(|| "${{ secrets.AWS_REGION }}".to_owned());
        login = format!(
            "      - uses: aws-actions/configure-aws-credentials@v5\n        with: {{role-to-assume: \
             \"${{{{ secrets.BOXCTL_DRIFT_ROLE }}}}\", aws-region: {}}}\n",
            quoted(&region)
        );
    }
    let mut kubeconfig = String::new();
    if job.cluster {
        env.push("KUBECONFIG_TEXT: ${{ secrets.BOXCTL_DRIFT_KUBECONFIG }}");
        env.push("KUBECONFIG: ${{ runner.temp }}/kubeconfig");
        kubeconfig.push_str("          printf '%s' \"$KUBECONFIG_TEXT\" > \"$KUBECONFIG\"\n");
    }
    let more = job.environment.iter().map(|name| format!("{name}: ${{{{ secrets.{name} }}}}"));
    let env: String = env
        .into_iter()
        .map(str::to_owned)
        .chain(more)
        .map(|line| format!("          {line}\n"))
        .collect();
    let env = if env.is_empty() { env } else { format!("        env:\n{env}") };
    format!(
        r#"# Looks for drift of {project} and keeps one issue about it; it reads, and changes nothing else.
name: {name}
on:
  schedule: [{{cron: {schedule}{zone}}}]
  workflow_dispatch:
permissions: {{contents: read, issues: write{rights}}}
concurrency: {name}
jobs:
  drift:
    runs-on: ubuntu-latest
    timeout-minutes: 20
    steps:
      - uses: actions/checkout@v5
{login}      - run: docker cp "$(docker create {image}):/boxctl" "$RUNNER_TEMP/boxctl"
      - id: look
{env}        run: |
{kubeconfig}          code=0
          "$RUNNER_TEMP/boxctl"{directory} {words} --annotations github --markdown drift.md || code=$?
          echo "code=$code" >> "$GITHUB_OUTPUT"
          [ "$code" = 0 ] || [ "$code" = 2 ]
      - env: {{GH_TOKEN: "${{{{ github.token }}}}", CODE: "${{{{ steps.look.outputs.code }}}}", LABEL: {name}}}
        run: |
          issue=$(gh issue list --label "$LABEL" --state open --json number --jq '.[0].number')
          if [ "$CODE" = 0 ]; then
            [ -z "$issue" ] || gh issue close "$issue" --comment "It is as it was recorded again."
          elif [ -n "$issue" ]; then gh issue edit "$issue" --body-file drift.md
          else
            gh label create "$LABEL" --force
            gh issue create --title {title} --label "$LABEL" --body-file drift.md
          fi
"#,
        project = job.project.replace(['\n', '\r'], " "),
        schedule = quoted(&job.schedule),
        image = shell(image),
        words = job.words().join(" "),
        title = shell(&format!("Drift of {}", job.project)),
    )
}

/// A word of a shell's command line, on one line.
fn shell(text: &str) -> String {
    let text = text.replace(['\n', '\r'], " ");
    let is_plain = !text.is_empty()
        && text.chars().all(|c| c.is_ascii_alphanumeric() || "-_./:=@+,".contains(c));
    if is_plain { text } else { format!("'{}'", text.replace('\'', "'\\''")) }
}
