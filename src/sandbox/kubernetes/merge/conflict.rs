//! Why an apply is refused, in the words of the server.

use thiserror::Error;

use super::managers::Manager;

/// Why an apply is refused.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum ApplyError {
    /// Others own fields that the configuration wants to have another value (409).
    #[error("{}", conflict_message(.0))]
    Conflict(Vec<Conflict>),
    /// The configuration is not of the kind's type (500, not transient).
    #[error("{0}")]
    Typed(String),
}

/// One field that another manager owns with another value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Conflict {
    /// The other manager.
    pub manager: Manager,
    /// The field: `.spec.template.spec.containers[name="x"].image`.
    pub path: String,
}

impl Conflict {
    /// The `message` of its cause in the answer's `details`.
    pub fn cause(&self) -> String {
        format!("conflict with {}", self.manager)
    }
}

/// The answer's `message` for conflicts.
pub fn conflict_message(conflicts: &[Conflict]) -> String {
    if let [only] = conflicts {
        return format!("Apply failed with 1 conflict: {}: {}", only.cause(), only.path);
    }
    let mut lines = Vec::new();
    let mut last = None;
    for conflict in conflicts {
        if last != Some(&conflict.manager) {
            lines.push(format!("conflicts with {}:", conflict.manager));
            last = Some(&conflict.manager);
        }
        lines.push(format!("- {}", conflict.path));
    }
    format!("Apply failed with {} conflicts: {}", conflicts.len(), lines.join("\n"))
}

#[cfg(test)]
mod tests {
    use super::super::managers::Operation;
    use super::*;

    #[test]
    fn tells_conflicts_as_the_server_does() {
        let conflict = |name: &str, operation, path: &str| Conflict {
            manager: Manager {
                name: name.to_owned(),
                operation,
                api_version: "apps/v1".to_owned(),
                subresource: String::new(),
            },
            path: path.to_owned(),
        };
        let one = conflict("argocd", Operation::Apply, ".spec.replicas");
        let two = conflict("kubectl-edit", Operation::Update, ".spec.replicas");
        let three = conflict("kubectl-edit", Operation::Update, ".spec.paused");
        assert_eq!(
            conflict_message(std::slice::from_ref(&one)),
            "Apply failed with 1 conflict: conflict with \"argocd\": .spec.replicas"
        );
        assert_eq!(
            conflict_message(&[one, two, three]),
            "Apply failed with 3 conflicts: conflicts with \"argocd\":\n- .spec.replicas\n\
             conflicts with \"kubectl-edit\" using apps/v1:\n- .spec.replicas\n- .spec.paused"
        );
    }
}
