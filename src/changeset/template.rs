//! Texts by [templates](https://docs.rs/minijinja) that a policy file writes. What is put into them stays
//! text: one line, and in a body a code span, so that it can neither end a line nor be Markdown.

use minijinja::{Environment, Output, State, UndefinedBehavior, Value, context};

use super::Move;
use super::text::{code_span, one_line};
use super::words::arrow;

/// A template does a bounded amount of work.
const FUEL: u64 = 200_000;

/// GitHub's limit for a title, in characters.
const MAX_TITLE: usize = 256;

/// A title, or a commit message: plain text. A title is its first line.
pub(super) fn plain(template: &str, environment: &str, moves: &[Move]) -> Result<String, String> {
    let mut engine = engine();
    engine.set_formatter(|out: &mut Output<'_>, _state: &mut State<'_, '_>, value: &Value| {
        Ok(write!(out, "{}", one_line(&value.to_string()))?)
    });
    render(&engine, template, environment, moves, "")
}

/// The first line of a template's text.
pub(super) fn title(template: &str, environment: &str, moves: &[Move]) -> Result<String, String> {
    let text = plain(template, environment, moves)?;
    let line: String =
        text.trim().lines().next().unwrap_or_default().chars().take(MAX_TITLE).collect();
    if line.is_empty() { Err("it gives an empty title".to_owned()) } else { Ok(line) }
}

/// A body in GitHub's Markdown; `table` is the usual one.
pub(super) fn markdown(
    template: &str,
    environment: &str,
    moves: &[Move],
    table: &str,
) -> Result<String, String> {
    let mut engine = engine();
    engine.set_formatter(|out: &mut Output<'_>, _state: &mut State<'_, '_>, value: &Value| {
        let text = value.to_string();
        let is_plain = value.is_safe() || value.is_number();
        if is_plain {
            write!(out, "{text}")?;
        } else {
            write!(out, "{}", code_span(&text))?;
        }
        Ok(())
    });
    render(&engine, template, environment, moves, table)
}

fn engine() -> Environment<'static> {
    let mut engine = Environment::new();
    engine.set_fuel(Some(FUEL));
    // A misspelt name is an error, and not nothing.
    engine.set_undefined_behavior(UndefinedBehavior::Strict);
    // What comes from outside is not declared harmless by a policy file.
    engine.remove_filter("safe");
    engine
}

fn render(
    engine: &Environment<'_>,
    template: &str,
    environment: &str,
    moves: &[Move],
    table: &str,
) -> Result<String, String> {
    let images = moves.iter().map(|row| {
        let (from, to) = arrow(row);
        let files = row.sites.iter().map(|(path, line)| Value::from(format!("{path}:{line}")));
        Value::from_pairs([
            ("environment", Value::from(row.environment.clone())),
            ("image", Value::from(row.image.clone())),
            ("repository", Value::from(row.repository.to_string())),
            ("from", Value::from(from)),
            ("to", Value::from(to)),
            ("why", Value::from(row.why.clone())),
            ("files", Value::from(files.collect::<Vec<_>>())),
        ])
    });
    let images = Value::from(images.collect::<Vec<_>>());
    let table = Value::from_safe_string(table.to_owned());
    let text = engine.render_str(template, context! { environment, images, table });
    text.map_err(|error| one_line(&error.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::choose::Deployed;
    use crate::image::{Repository, Tag};

    fn moves() -> Vec<Move> {
        let to = |tag| Deployed { tag: Tag::parse(tag), ..Deployed::default() };
        vec![Move {
            environment: "prod".into(),
            image: "shop".into(),
            repository: Repository::parse("ghcr.io/acme/shop").unwrap(),
            from: to("v1"),
            to: to("v2"),
            why: "`@acme`\n# x".into(),
            sites: vec![("a|b.yaml".into(), 3)],
        }]
    }

    #[test]
    fn what_is_put_in_stays_text() {
        let moves = moves();
        let cases = [
            (
                "deps({{ environment }}): {{ images[0].image }} to {{ images[0].to }}",
                Ok("deps(prod): shop to v2"),
            ),
            ("{% for i in images %}{{ i.why }}{% endfor %}", Ok("`@acme`# x")),
            ("{{ nothing }}", Err("undefined")),
            ("{% for", Err("syntax error")),
            (
                "{% for i in range(10000) %}{% for j in range(10000) %}.{% endfor %}{% endfor %}",
                Err("fuel"),
            ),
        ];
        for (template, want) in cases {
            match (plain(template, "prod", &moves), want) {
                (Ok(text), Ok(want)) => assert_eq!(text, want),
                (Err(why), Err(want)) => assert!(why.contains(want), "{why}"),
                (got, want) => panic!("{template}: {got:?}, not {want:?}"),
            }
        }
        let body = "## {{ environment }}\n{{ table }}\n{{ images[0].why }} {{ images | length }}";
        let body = markdown(body, "prod", &moves, "| t |").unwrap();
        assert_eq!(body, "## `prod`\n| t |\n`` `@acme`# x `` 1");
        assert_eq!(title("a\nb", "prod", &moves), Ok("a".to_owned()));
        assert!(title(" ", "prod", &moves).is_err());
    }
}
