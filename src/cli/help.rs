//! Text below the options of each command's help: examples, environment variables, exit codes, and the documentation.

use clap::Command;

/// The documentation's address.
const DOCUMENTATION: &str = "https://github.com/tagalong/tagalong/tree/main/docs";

/// The environment variables that commands read which reach a repository.
const VARIABLES: &str = "\
Environment:
  GITHUB_TOKEN                     Token for git and for pull requests (`gh auth token` prints yours)
  GITHUB_APP_ID, GITHUB_APP_PRIVATE_KEY[_FILE]
                                   App that signs in instead of a token
  GITHUB_API_URL, GITHUB_SERVER_URL  GitHub Enterprise Server
  GITLAB_TOKEN, GITLAB_URL         Token and server for GitLab; in its jobs the server is known
  FORGEJO_TOKEN, FORGEJO_URL, GITEA_TOKEN, GITEA_URL
                                   The same for Forgejo and Gitea
  DOCKER_CONFIG, REGISTRY_AUTH_FILE  Logins of docker and podman
  TAGALONG_SIGNING_KEY[_FILE]      Key for `sign: ssh` and `sign: gpg`
  TAGALONG_LEDGER_KEY[_FILE]       Key that proves the ledger; several for a change of keys
  HTTPS_PROXY, NO_PROXY, NO_COLOR, OTEL_EXPORTER_OTLP_ENDPOINT
";

/// The exit codes.
const EXIT_CODES: &str = "\
Exit codes:
  0  done
  1  failed
  2  the policies or arguments are invalid
  3  done in part: an image is undecided, a delivery failed, or the forge could not be read
";

/// Examples by command, and whether it reaches repositories and registries.
const COMMANDS: [(&str, bool, &str); 12] = [
    (
        "plan",
        true,
        "  tagalong plan                                What would change in this directory\n  \
           tagalong plan --repo acme/fleet --env prod   The same for one environment of a repository\n  \
           tagalong plan --format json | jq .decisions  For programs; `tagalong schema plan` has the schema\n",
    ),
    (
        "run",
        true,
        "  tagalong run --repo acme/fleet               Open and update pull requests\n  \
           tagalong run --repo acme/fleet --dry-run     Print every action, and take none\n  \
           tagalong run --deliver worktree              Write the changes into this directory\n",
    ),
    (
        "rollback",
        true,
        "  tagalong rollback --env prod --image shop --reason 'checkout errors'\n  \
           tagalong rollback --env prod --dry-run       Show the versions that it goes back to\n  \
           tagalong rollback --env prod --image shop --to v1.2.0 --deliver push\n",
    ),
    (
        "check",
        true,
        "  tagalong check                               The policy files of this directory\n  \
           tagalong check --strict                      Warnings fail as well, for CI\n  \
           tagalong check --policies new.yaml           Other policies for the same files\n",
    ),
    (
        "explain",
        true,
        "  tagalong explain shop                        Why this tag, and why no other\n  \
           tagalong explain shop v2.0.0                 Why not this one\n  \
           tagalong explain --code rollback-open        What a code means, and what to do\n",
    ),
    (
        "status",
        true,
        "  tagalong status --repo acme/fleet            What runs where, and what waits for what\n  \
           tagalong status --env prod --image shop      One cell of it\n  \
           tagalong status --html status.html           A page that needs nothing else\n",
    ),
    (
        "init",
        true,
        "  tagalong init --dry-run                      Show the files, and write none\n  \
           tagalong init                                Write policies and a workflow\n  \
           tagalong init --no-workflow                  Where something else runs it\n",
    ),
    (
        "import",
        false,
        "  tagalong import                              Show the policies\n  \
           tagalong import --write                      Write policies/imported.yaml\n  \
           tagalong import --repo acme/fleet            Of a remote repository\n",
    ),
    (
        "serve",
        true,
        "  tagalong serve --repo acme/fleet             One repository, every five minutes\n  \
           tagalong serve --config serve.yaml           Several, with webhooks\n  \
           tagalong serve --config serve.yaml --log-format json\n",
    ),
    (
        "schema",
        false,
        "  tagalong schema > policies.schema.json       For editors\n  \
           tagalong schema settings                     tagalong.yaml\n  \
           tagalong schema plan                         The output of `plan` and `run`\n",
    ),
    (
        "completions",
        false,
        "  tagalong completions bash > /etc/bash_completion.d/tagalong\n  \
           tagalong completions zsh > ~/.zfunc/_tagalong\n  \
           tagalong completions fish > ~/.config/fish/completions/tagalong.fish\n",
    ),
    (
        "man",
        false,
        "  tagalong man | man -l -                      The overview\n  \
           tagalong man --dir man1                      A page for each command\n  \
           tagalong man > tagalong.1                    The overview as a file\n",
    ),
];

/// The commands with their examples, variables and exit codes.
#[must_use]
pub(super) fn complete(mut command: Command) -> Command {
    for (name, reaches, examples) in COMMANDS {
        let variables = if reaches { format!("{VARIABLES}\n") } else { String::new() };
        let more = match name {
            "plan" => "  10 changes are pending (`--detailed-exit-code`)\n",
            _ => "",
        };
        let text = format!(
            "Examples:\n{examples}\n{variables}{EXIT_CODES}{more}\nDocumentation: {DOCUMENTATION}"
        );
        command = command.mut_subcommand(name, |one| one.after_help(text));
    }
    command.after_help(format!(
        "Start with `tagalong demo`, then `tagalong init` in a repository.\n\nDocumentation: {DOCUMENTATION}"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory as _;

    #[test]
    fn every_command_has_examples_of_itself_that_parse() {
        let plain = crate::cli::Cli::command();
        let without = ["demo", "help"];
        let all =
            plain.get_subcommands().map(Command::get_name).filter(|name| !without.contains(name));
        for name in all {
            let (_, _, examples) = COMMANDS.iter().find(|(known, ..)| *known == name).unwrap();
            assert_eq!(examples.lines().count(), 3, "{name}");
            for line in examples.lines() {
                let words =
                    line.trim().split("   ").next().unwrap().split(['|', '>']).next().unwrap();
                let words = words.replace("'checkout errors'", "errors");
                let parsed =
                    crate::cli::Cli::command().try_get_matches_from(words.split_whitespace());
                assert!(parsed.is_ok(), "{line}: {parsed:?}");
                assert!(words.starts_with(&format!("tagalong {name}")), "{line}");
            }
        }
    }
}
