//! A timer and the service that it starts, for a machine of one's own.

use super::{Job, comment};

/// What a job on a machine has to be told beside.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OnMachine {
    /// The path of boxctl.
    pub program: String,
    /// The project's directory.
    pub project: String,
    /// Who runs it.
    pub user: String,
    /// The directory in which it remembers what it told last, where that is one of the machine's.
    pub memory: Option<String>,
}

/// The service, which looks once.
pub fn service(job: &Job, place: &OnMachine) -> String {
    let name = job.name();
    let mut lines = vec![
        job.purpose(),
        String::new(),
        format!("  cp {name}.service {name}.timer /etc/systemd/system/"),
        format!("  systemctl daemon-reload && systemctl enable --now {name}.timer"),
        format!("  systemctl start {name}.service; journalctl -u {name}.service   # look now"),
        String::new(),
        format!("Credentials: NAME=value lines in /etc/boxctl/{name}.env (mode 0600)."),
    ];
    lines.extend(job.permissions());
    let words: Vec<String> = job.words().into_iter().map(argument).collect();
    let memory = place.memory.iter().map(|dir| format!("ReadWritePaths={}\n", argument(dir)));
    format!(
        "{comment}[Unit]
Description=Look for drift of {project}
Wants=network-online.target
After=network-online.target

[Service]
Type=oneshot
User={user}
ExecStart={program} --project {dir} {words}
EnvironmentFile=-/etc/boxctl/{name}.env
# It fails where drift was found (2) or it could not look (1): `systemctl --failed` shows it.
TimeoutStartSec=15min
NoNewPrivileges=yes
PrivateTmp=yes
PrivateDevices=yes
ProtectSystem=strict
ProtectKernelTunables=yes
ProtectKernelModules=yes
ProtectControlGroups=yes
RestrictAddressFamilies=AF_INET AF_INET6 AF_UNIX
RestrictSUIDSGID=yes
LockPersonality=yes
CapabilityBoundingSet=
{memory}",
        memory = memory.collect::<String>(),
        comment = comment(&lines),
        project = escaped(&job.project),
        user = escaped(&place.user),
        program = argument(&place.program),
        dir = argument(&place.project),
        words = words.join(" "),
    )
}

/// The timer.
pub fn timer(job: &Job) -> String {
    let zone = job.time_zone.iter().map(|zone| format!(" {zone}"));
    let zone: String = zone.collect();
    format!(
        "[Unit]
Description=Look for drift of {project} at its times

[Timer]
OnCalendar={schedule}{zone}
# A machine that was off looks when it is on again.
Persistent=true
RandomizedDelaySec=5min

[Install]
WantedBy=timers.target
",
        project = escaped(&job.project),
        schedule = job.schedule,
    )
}

/// A text in which systemd sees no specifier.
fn escaped(text: &str) -> String {
    text.replace('%', "%%").replace(['\n', '\r'], " ")
}

/// One word of a command line of systemd's.
fn argument(text: &str) -> String {
    let text = escaped(text).replace('$', "$$");
    let is_plain =
        !text.is_empty() && text.chars().all(|c| c.is_alphanumeric() || "-_./:=@%+,".contains(c));
    if is_plain {
        return text;
    }
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
}
