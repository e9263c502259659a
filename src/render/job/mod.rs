//! The files of a scheduled job that looks for drift: plain text for people to read and change.

pub mod github;
pub mod kubernetes;
pub mod systemd;

use crate::model::Json;

/// What a job has to be told.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Job {
    /// The project's name.
    pub project: String,
    /// The project's directory within the repository; empty where that is the repository's own.
    pub dir: String,
    /// When it looks: a cron line, for systemd a calendar event.
    pub schedule: String,
    /// The IANA name of the time zone of the schedule; None: the scheduler's own.
    pub time_zone: Option<String>,
    /// Permissions of the Cloudflare token, each with what it is for.
    pub cloudflare: Vec<String>,
    /// Actions of AWS that it has to be allowed, each with what it is for.
    pub aws: Vec<String>,
    /// Whether objects of the cluster are read.
    pub cluster: bool,
    /// The AWS region, where the project says one.
    pub aws_region: Option<String>,
    /// Whether it tells webhooks of what changes.
    pub notifies: bool,
    /// Variables that the project's files read from the environment: URLs of webhooks, the key of
    /// the states.
    pub environment: Vec<String>,
}

impl Job {
    /// `boxctl-drift-home`, within the 52 characters that a CronJob's name may have.
    pub fn name(&self) -> String {
        let mut name = "boxctl-drift-".to_owned();
        for c in self.project.to_lowercase().chars() {
            name.push(if c.is_ascii_alphanumeric() { c } else { '-' });
        }
        name.truncate(52);
        name.trim_end_matches('-').to_owned()
    }

    /// What it is for, in one line.
    fn purpose(&self) -> String {
        let what = match self.notifies {
            true => "it reads, and writes nothing but what it told last",
            false => "it reads, and changes nothing",
        };
        format!("Looks for drift of the boxctl project {}; {what}.", self.project)
    }

    /// The words of the command: `drift --notify`.
    fn words(&self) -> Vec<&'static str> {
        let mut words = vec!["drift"];
        if self.notifies {
            words.push("--notify");
        }
        words
    }

    /// What its credentials have to allow, as lines of comments.
    fn permissions(&self) -> Vec<String> {
        let mut lines = Vec::new();
        if !self.cloudflare.is_empty() {
            lines.push(
                "Permissions of the Cloudflare token, for this account and its zones only:"
                    .to_owned(),
            );
            lines.extend(self.cloudflare.iter().map(|one| format!("  {one}")));
        }
        lines.extend(self.aws.iter().map(|one| format!("AWS: {one}")));
        lines
    }
}

/// A text as YAML (and JSON) writes it in quotes: whatever is in it, it is one scalar.
fn quoted(text: &str) -> String {
    Json::from(text).to_string()
}

/// Lines, each led by `# `; none ends early, whatever is in it.
fn comment(lines: &[String]) -> String {
    let text = lines.join("\n").replace('\r', " ");
    text.split('\n').map(|line| format!("# {line}").trim_end().to_owned() + "\n").collect()
}

#[cfg(test)]
mod tests;
