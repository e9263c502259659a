//! Comments for pull requests and issues: what it comes to first, then a line each, then what
//! differs, folded away. Each begins with a mark that is not to be seen, `<!-- boxctl:COMMAND:PROJECT
//! -->`, by which a job finds its comment again; none is ever too long, and no text of others gets
//! out of its place.

mod applied;
mod comment;
mod drift;
mod escape;
mod plan;

pub use applied::applied;
pub use drift::drift;
pub use plan::plan;

use comment::Comment;

use super::RenderOptions;
use crate::model::error::Report;

/// What a comment holds less than, in bytes; GitHub's limit is 65,536 characters.
pub const LIMIT: usize = 65_000;

/// How blocks of text are laid out.
const TEXT: RenderOptions = RenderOptions { width: 110, color: false, verbose: false };

/// What is said of a command that did not come to its result. `project` is empty where even that is
/// not known.
pub fn failed(command: &str, project: &str, reports: &[Report]) -> String {
    let mut out = Comment::new(command, project, "it could not be done");
    out.reports(reports.iter());
    out.end(&format!("`boxctl {command}` shows all."), "")
}

#[cfg(test)]
mod tests {
    use std::sync::LazyLock;

    use super::super::samples;
    use super::*;
    use crate::model::error::Exit;
    use crate::render::applied::Applied;

    /// Every comment, of what is usual and of what is large.
    static ALL: LazyLock<Vec<String>> = LazyLock::new(all);

    fn all() -> Vec<String> {
        let (plan, told) = (samples::plan(), samples::told());
        let reports: Vec<Report> = (0..2_000)
            .map(|at| Report::error(format!("{at} @team {}", "長い".repeat(200))))
            .collect();
        let mut long = samples::plan();
        let changes = long.stacks[0].changes.clone();
        (0..300).for_each(|_| long.stacks[0].changes.extend(changes.clone()));
        let of =
            |plan, stopped| applied(&Applied { plan, told: &told, exit: Exit::Partial, stopped });
        vec![
            drift(&samples::view()),
            drift(&samples::large_view(2_000)),
            super::plan(&plan),
            super::plan(&long),
            of(&plan, &[]),
            of(&long, &reports),
            failed("drift", "", &reports),
        ]
    }

    #[test]
    fn a_comment_is_never_too_long_and_holds_no_secret() {
        for text in ALL.iter() {
            assert!(text.len() < LIMIT, "{}", text.len());
            assert!(text.starts_with("<!-- boxctl:"), "{}", &text[..80]);
            for secret in samples::SECRETS {
                assert!(!text.contains(secret), "{secret}");
            }
        }
    }

    #[test]
    fn comments_say_what_they_come_to() {
        let all = &*ALL;
        insta::assert_snapshot!("drift", all[0]);
        insta::assert_snapshot!("plan", all[2]);
        insta::assert_snapshot!("applied", all[4]);
    }

    #[test]
    fn a_large_drift_leads_with_what_matters() {
        let text = drift(&samples::large_view(2_000));
        let at = |what: &str| text.find(what).unwrap_or_else(|| panic!("{what} is not there"));
        assert!(at("1999 changed, 1 missing") < 200);
        assert!(at("last.example.org is open to everyone") < 400);
        assert!(at("missing | `access_application.r1999") < at("changed | `dns_record.r0000"));
        assert!(at("| stack19 | 1 | 99 | 0 |") < at("missing | `access"));
        let last = text.lines().filter(|line| line.contains("Left out here")).collect::<Vec<_>>();
        assert_eq!(last.len(), 1, "{text}");
        assert!(last[0].contains("lines") && last[0].contains("`boxctl drift`"), "{last:?}");
    }

    #[test]
    fn nothing_that_drifted_is_said_so() {
        let text = drift(&crate::render::drift::DriftView::default());
        assert!(text.contains(": no drift\n"), "{text}");
    }
}
