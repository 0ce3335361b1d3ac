//! Texts by [templates](https://docs.rs/minijinja) that a policy file writes. What is put into them stays
//! text: one line, and in a body a code span, so that it can neither end a line nor be Markdown.

use std::fmt::{self, Write as _};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use minijinja::{
    Environment as Engine, Error, ErrorKind, Output, State, UndefinedBehavior, Value, context,
};

use super::Move;
use super::words::arrow;
use crate::choose::Deployed;
use crate::diagnostic::{Code, Diagnostic};
use crate::image::{Repository, Tag};
use crate::policy::{Environment, check_template as check};
use crate::text::{code_span, one_line};

/// A template does a bounded amount of work.
const FUEL: u64 = 50_000;

/// More bytes than this no text of a pull request or a commit has: GitHub's limit for a body is 65,536 characters.
const MAX_TEXT: usize = 256 * 1024;

/// More bytes than this filters make of no text, all together.
const MAX_MADE: usize = 1 << 20;

/// Limit for a title, in characters: GitHub takes 256, GitLab 255 with the word for a draft.
const MAX_TITLE: usize = 240;

/// A title, or a commit message: plain text. A title is its first line.
pub(super) fn plain(template: &str, environment: &str, moves: &[Move]) -> Result<String, String> {
    let mut engine = engine();
    let total = AtomicUsize::new(0);
    engine.set_formatter(move |out: &mut Output<'_>, _state: &mut State<'_, '_>, value: &Value| {
        Ok(write!(out, "{}", one_line(&written(value, &total)?))?)
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
    let total = AtomicUsize::new(0);
    engine.set_formatter(move |out: &mut Output<'_>, _state: &mut State<'_, '_>, value: &Value| {
        let text = written(value, &total)?;
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

/// Uses the templates of an environment once, with what two images would move, so that errors that only show then are reported
/// before it happens.
#[must_use]
pub fn tried(environment: &Environment) -> Vec<Diagnostic> {
    let texts = &environment.deliver.texts;
    let name = environment.name.as_str();
    let moves: Vec<Move> =
        ["one", "other"].into_iter().filter_map(|image| sample(name, image)).collect();
    let said = [
        ("title", texts.title.as_ref().map(|text| title(text, name, &moves))),
        ("message", texts.message.as_ref().map(|text| plain(text, name, &moves))),
        ("body", texts.body.as_ref().map(|text| markdown(text, name, &moves, "| table |"))),
    ];
    let failed = said.into_iter().filter_map(|(key, said)| Some((key, said?.err()?)));
    let told = failed.map(|(key, why)| {
        let message = format!(
            "the {key} of environment `{name}` cannot be made: {why}; the usual one would be used"
        );
        Diagnostic::warning(Code::DeliverTemplate, message).at(environment.place.clone())
    });
    told.collect()
}

/// A move as there may be one.
fn sample(environment: &str, image: &str) -> Option<Move> {
    let held = |tag: &str| Deployed { tag: Tag::parse(tag), ..Deployed::default() };
    Some(Move {
        environment: environment.to_owned(),
        image: image.to_owned(),
        repository: Repository::parse(&format!("registry.example.com/acme/{image}")).ok()?,
        from: held("v1.0.0"),
        to: held("v1.1.0"),
        why: "v1.1.0 is above v1.0.0".to_owned(),
        sites: vec![("app.yaml".to_owned(), 1)],
    })
}

/// The engine. What of it a template can name, [`check`] says; `join` and `replace` have bounds here.
fn engine() -> Engine<'static> {
    let mut engine = Engine::new();
    engine.set_fuel(Some(FUEL));
    // A misspelt name is an error, and not nothing.
    engine.set_undefined_behavior(UndefinedBehavior::Strict);
    // What comes from outside is not declared harmless by a policy file.
    engine.remove_filter("safe");
    // What they make costs no fuel, so all of it together is bounded.
    let made = Arc::new(AtomicUsize::new(0));
    let charged = Arc::clone(&made);
    engine.add_filter("join", move |all: &Value, between: Option<&str>| {
        charge(&charged, join(all, between)?)
    });
    engine.add_filter("replace", move |text: &str, from: &str, to: &str| {
        charge(&made, replace(text, from, to)?)
    });
    engine
}

/// A text that a filter made, while all of them together are no longer than [`MAX_MADE`].
fn charge(made: &AtomicUsize, text: String) -> Result<String, Error> {
    let before = made.fetch_add(text.len(), Ordering::Relaxed);
    if before.saturating_add(text.len()) > MAX_MADE { Err(too_long()) } else { Ok(text) }
}

/// Texts with another one between them.
fn join(all: &Value, between: Option<&str>) -> Result<String, Error> {
    let mut text = BoundedText::default();
    for (index, one) in all.try_iter()?.enumerate() {
        let between = between.filter(|_| index > 0).unwrap_or_default();
        write!(text, "{between}{one}").map_err(|_error| too_long())?;
    }
    Ok(text.text)
}

/// A text with each occurrence of another one exchanged.
fn replace(text: &str, from: &str, to: &str) -> Result<String, Error> {
    let longest = text.len().saturating_add((text.len() + 1).saturating_mul(to.len()));
    let grown = || text.len() + text.matches(from).count().saturating_mul(to.len());
    if longest > MAX_TEXT && grown() > MAX_TEXT {
        return Err(too_long());
    }
    Ok(text.replace(from, to))
}

fn too_long() -> Error {
    Error::new(ErrorKind::InvalidOperation, format!("it gives more than {MAX_TEXT} bytes"))
}

/// A text that takes no more than [`MAX_TEXT`].
#[derive(Default)]
struct BoundedText {
    text: String,
}

impl fmt::Write for BoundedText {
    fn write_str(&mut self, more: &str) -> fmt::Result {
        if self.text.len() + more.len() > MAX_TEXT {
            return Err(fmt::Error);
        }
        self.text.push_str(more);
        Ok(())
    }
}

/// The text of a value, while all texts together have no more than [`MAX_TEXT`]. What stands between values is
/// bounded by the length of the template and by its work.
fn written(value: &Value, total: &AtomicUsize) -> Result<String, Error> {
    let mut text = BoundedText::default();
    write!(text, "{value}").map_err(|_error| too_long())?;
    let before = total.fetch_add(text.text.len(), Ordering::Relaxed);
    if before.saturating_add(text.text.len()) > MAX_TEXT { Err(too_long()) } else { Ok(text.text) }
}

fn render(
    engine: &Engine<'_>,
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
    check(template)?;
    let text = engine.render_str(template, context! { environment, images, table });
    let text = text.map_err(|error| one_line(&error.to_string()))?;
    if text.len() > MAX_TEXT { Err(too_long().to_string()) } else { Ok(text) }
}

#[cfg(test)]
mod tests {
    use super::*;

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

    /// An expression with a filter many times behind it.
    fn nested(start: &str, filter: &str, count: usize) -> String {
        format!("{{{{ {start}{} }}}}", filter.repeat(count))
    }

    /// Texts that are joined by what is joined by what is joined.
    fn joined(depth: usize) -> String {
        let list = "['x', 'y', 'z', 'x', 'y', 'z', 'x', 'y', 'z']";
        let inner = (0..depth).fold("'-'".to_owned(), |inner, _| format!("{list} | join({inner})"));
        format!("{{{{ {inner} }}}}")
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
            ("{{ images[0].files | join(images[0].why) }}", Ok("a|b.yaml:3")),
            ("{{ environment | replace('p', 'q') }}", Ok("qrod")),
            (&nested("environment", " | replace('', images[0].why)", 30), Err("more than")),
            (&joined(30), Err("more than")),
            (&format!("{{% for i in range(90000) %}}{}{{% endfor %}}", "x".repeat(8_000)), Err("")),
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
