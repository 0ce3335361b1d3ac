//! Commit messages by the templates of Flux's automations, with
//! [the data that Flux gives them](https://fluxcd.io/flux/components/image/imageupdateautomations/#message-template).
//!
//! The templates are Go's. What Flux keys by objects becomes lists of pairs here, because the library
//! knows maps with text keys only; each `range` is rewritten so that templates do not notice.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, LazyLock};

use gotmpl::{Template, TemplateError, Value};
use regex::{Captures, Regex};

use super::{Object, PlannedEdit};
use crate::image::Reference;
use crate::policy::MessageTemplate;

/// The longest message, and the longest text on the way to it, in bytes.
const MAX_MESSAGE: usize = 64 << 10;

/// The longest template, in bytes.
const MAX_TEMPLATE: usize = 8 << 10;

/// More turns than this of all loops together are not made.
const MAX_TURNS: usize = 100_000;

/// The key under which a map of objects keeps its pairs. No template can write it.
const PAIRS: &str = "\u{0}pairs";

#[expect(clippy::expect_used, reason = "a constant pattern, compiled by a test")]
static RANGE: LazyLock<Regex> = LazyLock::new(|| {
    let pattern = r"\{\{(?<left>-?)\s*range\s+(?:(?<one>\$\w+)\s*(?:,\s*(?<two>\$\w+)\s*)?:=\s*)?(?<what>[^{}]*?)\s*(?<right>-?)\}\}";
    Regex::new(pattern).expect("a constant pattern compiles")
});

/// Templates that call templates can multiply without a loop.
#[expect(clippy::expect_used, reason = "a constant pattern, compiled by a test")]
static NESTED: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(r"\{\{-?\s*(define|template|block)\b").expect("a constant pattern compiles")
});

/// Renders a message.
///
/// # Errors
/// When the template is not one, or uses what is not known here.
pub(super) fn render(template: &MessageTemplate, edits: &[&PlannedEdit]) -> Result<String, String> {
    let (namespace, name) = &template.automation;
    if template.text.len() > MAX_TEMPLATE {
        return Err(format!("it is longer than {MAX_TEMPLATE} bytes"));
    }
    if NESTED.is_match(&template.text) {
        return Err("templates within templates are not rendered".to_owned());
    }
    let text = RANGE.replace_all(&template.text, rewrite);
    // A name prints as text and has fields, which is more than a value can do here.
    let text = text
        .replace(".AutomationObject.Namespace", ".AutomationNamespace")
        .replace(".AutomationObject.Name", ".AutomationName");
    let data = map([
        ("AutomationObject", string(&format!("{namespace}/{name}"))),
        ("AutomationNamespace", string(namespace)),
        ("AutomationName", string(name)),
        ("Changed", changed(edits)),
        ("Values", map(template.values.iter().map(|(key, value)| (key.as_str(), string(value))))),
    ]);
    let parsed =
        functions(Template::new("message")).parse(&text).map_err(|error| error.to_string());
    let mut message = BoundedMessage(String::new());
    parsed?.execute_fmt(&mut message, &data).map_err(|error| error.to_string())?;
    match message.0.trim() {
        "" => Err("it renders to nothing".to_owned()),
        message => Ok(message.to_owned()),
    }
}

/// A message that does not grow without end.
struct BoundedMessage(String);

impl std::fmt::Write for BoundedMessage {
    fn write_str(&mut self, text: &str) -> std::fmt::Result {
        if self.0.len() + text.len() > MAX_MESSAGE {
            return Err(std::fmt::Error);
        }
        self.0.push_str(text);
        Ok(())
    }
}

/// One `range`, over pairs where it has two variables, and over values where it has one.
fn rewrite(found: &Captures<'_>) -> String {
    let group = |name: &str| found.name(name).map_or("", |m| m.as_str());
    let (left, right, what) = (group("left"), group("right"), group("what"));
    match (found.name("one"), found.name("two")) {
        (Some(key), Some(value)) => format!(
            "{{{{{left} range $pair := pairs ({what}) }}}}{{{{ {} := $pair.Key }}}}{{{{ {} := $pair.Value {right}}}}}",
            key.as_str(),
            value.as_str()
        ),
        (Some(value), None) => {
            format!("{{{{{left} range {} := values ({what}) {right}}}}}", value.as_str())
        }
        _ => format!("{{{{{left} range values ({what}) {right}}}}}"),
    }
}

/// `.Changed`: every change by file and object, by object, and in a list.
fn changed(edits: &[&PlannedEdit]) -> Value {
    type ByObject<'a> = BTreeMap<&'a Object, Vec<Value>>;
    let mut files: BTreeMap<&str, ByObject<'_>> = BTreeMap::new();
    let mut objects = ByObject::new();
    let mut changes: BTreeMap<[&str; 3], Value> = BTreeMap::new();
    for edit in edits {
        let setter = setter(edit);
        let change = map([
            ("OldValue", string(&edit.old_value)),
            ("NewValue", string(&edit.new_value)),
            ("Setter", string(&setter)),
        ]);
        let in_file = files.entry(&edit.path).or_default();
        in_file.entry(&edit.object).or_default().push(change.clone());
        objects.entry(&edit.object).or_default().push(change.clone());
        changes.entry([&edit.old_value, &edit.new_value, &edit.image]).or_insert(change);
    }
    let by_object = |objects: ByObject<'_>| {
        let pair = |(object, changes): (&Object, Vec<Value>)| {
            map([("Key", object_value(object)), ("Value", Value::List(changes.into()))])
        };
        let pairs: Vec<Value> = objects.into_iter().map(pair).collect();
        map([(PAIRS, Value::List(pairs.into()))])
    };
    let files = files.into_iter().map(|(path, objects)| (path, by_object(objects)));
    let changes: Vec<Value> = changes.into_values().collect();
    map([
        ("FileChanges", map(files)),
        ("Objects", by_object(objects)),
        ("Changes", Value::List(changes.into())),
    ])
}

fn object_value(object: &Object) -> Value {
    map([
        ("APIVersion", string(&object.api_version)),
        ("Kind", string(&object.kind)),
        ("Name", string(&object.name)),
        ("Namespace", string(&object.namespace)),
    ])
}

/// The policy with the part that it set, as markers write it; told by what was written.
fn setter(edit: &PlannedEdit) -> String {
    let part = match Reference::parse(&edit.new_value) {
        _ if edit.new_value.starts_with("sha256:") => ":digest",
        Some(reference) if !reference.suffix.is_empty() => "",
        Some(_) if edit.new_value.contains('/') => ":name",
        _ => ":tag",
    };
    format!("{}{part}", edit.image)
}

fn functions(template: Template) -> Template {
    let turns = Arc::new(AtomicUsize::new(0));
    let (again, other) = (Arc::clone(&turns), turns);
    // Go's own functions that make text, within bounds: a text that doubles forty times has no end.
    let template = template
        .func("print", |args| joined(args, "", ""))
        .func("println", |args| joined(args, " ", "\n"))
        .func("printf", printf)
        .func("html", |_| Err(unknown("html")))
        .func("js", |_| Err(unknown("js")))
        .func("urlquery", |_| Err(unknown("urlquery")));
    let template = template
        .func("pairs", move |args| counted(&again, pairs(args, true)))
        .func("values", move |args| counted(&other, pairs(args, false)))
        .func("upper", |args| Ok(string(&text(args, 0).to_uppercase())))
        .func("lower", |args| Ok(string(&text(args, 0).to_lowercase())))
        .func("trim", |args| Ok(string(text(args, 0).trim())))
        .func("quote", |args| bounded(&format!("{:?}", text(args, 0))))
        .func("toString", |args| Ok(string(&text(args, 0))));
    // The subject comes last, so that it can be piped in.
    template
        .func("replace", |args| {
            let (from, into, subject) = (text(args, 0), text(args, 1), text(args, 2));
            let grown = subject.len() + (subject.matches(&from).count() + 1) * into.len();
            if grown > MAX_MESSAGE {
                Err(too_long())
            } else {
                Ok(string(&subject.replace(&from, &into)))
            }
        })
        .func("contains", |args| Ok(Value::Bool(text(args, 1).contains(&text(args, 0)))))
        .func("hasPrefix", |args| Ok(Value::Bool(text(args, 1).starts_with(&text(args, 0)))))
        .func("hasSuffix", |args| Ok(Value::Bool(text(args, 1).ends_with(&text(args, 0)))))
        .func("trimPrefix", |args| {
            let (prefix, subject) = (text(args, 0), text(args, 1));
            Ok(string(subject.strip_prefix(&prefix).unwrap_or(&subject)))
        })
        .func("trimSuffix", |args| {
            let (suffix, subject) = (text(args, 0), text(args, 1));
            Ok(string(subject.strip_suffix(&suffix).unwrap_or(&subject)))
        })
        .func("trunc", |args| {
            let length = args.first().and_then(Value::as_int).unwrap_or(0);
            let length = usize::try_from(length).unwrap_or(0);
            Ok(string(&text(args, 1).chars().take(length).collect::<String>()))
        })
        .func("default", |args| {
            let given = text(args, 1);
            Ok(if given.is_empty() { string(&text(args, 0)) } else { string(&given) })
        })
}

/// What a `range` goes over: pairs of key and value, or values.
fn pairs(args: &[Value], keyed: bool) -> Value {
    let pair = |key: Value, value: Value| map([("Key", key), ("Value", value)]);
    let pairs: Vec<Value> = match args.first() {
        Some(Value::List(list)) => {
            let index = |index| Value::Int(i64::try_from(index).unwrap_or(i64::MAX));
            list.iter().enumerate().map(|(at, value)| pair(index(at), value.clone())).collect()
        }
        Some(Value::Map(entries)) => match entries.get(PAIRS) {
            Some(Value::List(list)) => list.to_vec(),
            _ => entries.iter().map(|(key, value)| pair(string(key), value.clone())).collect(),
        },
        _ => Vec::new(),
    };
    let value = |pair: Value| pair.field("Value").cloned().unwrap_or(Value::Nil);
    let list: Vec<Value> = if keyed { pairs } else { pairs.into_iter().map(value).collect() };
    Value::List(list.into())
}

/// A list to loop over, when all loops together are not too long yet.
fn counted(turns: &AtomicUsize, list: Value) -> Result<Value, TemplateError> {
    let length = match &list {
        Value::List(items) => items.len() + 1,
        _ => 1,
    };
    if turns.fetch_add(length, Ordering::Relaxed) > MAX_TURNS {
        return Err(TemplateError::Exec("its loops take too many turns".to_owned()));
    }
    Ok(list)
}

fn joined(args: &[Value], between: &str, end: &str) -> Result<Value, TemplateError> {
    let texts: Vec<String> = args.iter().map(ToString::to_string).collect();
    bounded(&(texts.join(between) + end))
}

/// `%s`, `%v`, `%d` and `%q`, without widths.
fn printf(args: &[Value]) -> Result<Value, TemplateError> {
    let format = text(args, 0);
    let mut out = String::new();
    let mut next = 1;
    let mut characters = format.chars();
    while let Some(c) = characters.next() {
        if c != '%' {
            out.push(c);
            continue;
        }
        let argument = text(args, next);
        match characters.next() {
            Some('%') => {
                out.push('%');
                continue;
            }
            Some('s' | 'v' | 'd') => out.push_str(&argument),
            Some('q') => write!(out, "{argument:?}").map_err(|_error| too_long())?,
            other => return Err(unknown(&format!("printf %{}", other.unwrap_or(' ')))),
        }
        next += 1;
        if out.len() > MAX_MESSAGE {
            return Err(too_long());
        }
    }
    bounded(&out)
}

fn bounded(text: &str) -> Result<Value, TemplateError> {
    if text.len() > MAX_MESSAGE { Err(too_long()) } else { Ok(string(text)) }
}

fn too_long() -> TemplateError {
    TemplateError::Exec("it renders to more than a message".to_owned())
}

fn unknown(what: &str) -> TemplateError {
    TemplateError::Exec(format!("`{what}` is not known here"))
}

fn text(args: &[Value], at: usize) -> String {
    args.get(at).map(ToString::to_string).unwrap_or_default()
}

fn string(text: &str) -> Value {
    Value::String(text.into())
}

fn map<'a>(entries: impl IntoIterator<Item = (&'a str, Value)>) -> Value {
    let entries: BTreeMap<Arc<str>, Value> =
        entries.into_iter().map(|(key, value)| (key.into(), value)).collect();
    Value::Map(Arc::new(entries))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::edit::Edit;
    use crate::yaml::Stream;

    fn edit(path: &str, kind: &str, from: &str, to: &str) -> PlannedEdit {
        let node = Stream::parse("a").unwrap().documents()[0];
        PlannedEdit {
            path: path.into(),
            edit: Edit {
                line: 1,
                span: 0..0,
                old: String::new(),
                new: String::new(),
                node,
                within: 0..0,
                text: String::new(),
                inner: None,
            },
            old_value: from.into(),
            new_value: to.into(),
            object: Object {
                api_version: "apps/v1".into(),
                kind: kind.into(),
                name: "shop".into(),
                namespace: "prod".into(),
            },
            image: "flux-system:shop".into(),
            environment: "flux-system-apps".into(),
        }
    }

    fn rendered(text: &str) -> Result<String, String> {
        let edits = [
            edit("b.yaml", "Deployment", "r.io/shop:v1", "r.io/shop:v2"),
            edit("a.yaml", "CronJob", "v1", "v2"),
            edit("a.yaml", "CronJob", "v1", "v2"),
        ];
        let template = MessageTemplate {
            automation: ("flux-system".into(), "apps".into()),
            text: text.into(),
            values: BTreeMap::from([("cluster".into(), "eu".into())]),
        };
        render(&template, &edits.iter().collect::<Vec<_>>())
    }

    #[test]
    fn the_documented_templates_render() {
        let documented = "Automated image update\n\n\
            Automation name: {{ .AutomationObject }}\n\nFiles:\n\
            {{ range $filename, $_ := .Changed.FileChanges -}}\n- {{ $filename }}\n{{ end -}}\n\n\
            Objects:\n{{ range $resource, $changes := .Changed.Objects -}}\n\
            - {{ $resource.Kind }} {{ $resource.Name }}\n  Changes:\n\
            {{- range $_, $change := $changes }}\n    - {{ $change.OldValue }} -> {{ $change.NewValue }}\n\
            {{ end -}}\n{{ end -}}\n";
        let want = "Automated image update\n\nAutomation name: flux-system/apps\n\nFiles:\n- a.yaml\n- b.yaml\n\
            Objects:\n- CronJob shop\n  Changes:\n    - v1 -> v2\n\n    - v1 -> v2\n- Deployment shop\n  Changes:\n\
            \x20   - r.io/shop:v1 -> r.io/shop:v2";
        assert_eq!(rendered(documented), Ok(want.to_owned()));
        let cases = [
            (
                "{{range .Changed.Changes}}{{print .OldValue}} -> {{println .NewValue}}{{end}}",
                "r.io/shop:v1 -> r.io/shop:v2\nv1 -> v2",
            ),
            (
                "{{ range .Changed.Changes }}[{{ .Setter }}]{{ end }}",
                "[flux-system:shop][flux-system:shop:tag]",
            ),
            ("{{ len (print .AutomationObject) }}", "16"),
            ("{{ .AutomationObject.Name }} on {{ .Values.cluster | upper }}", "apps on EU"),
            ("{{ len .Changed.Changes }} changes", "2 changes"),
            (
                "{{ range $i, $c := .Changed.Changes }}{{ if $i }}, {{ end }}{{ $c.NewValue | trunc 4 }}{{ end }}",
                "r.io, v2",
            ),
            ("{{ with .Values.missing }}x{{ else }}none{{ end }}", "none"),
            (
                "{{ \"v1.2\" | trimPrefix \"v\" }} {{ \"a.b\" | replace \".\" \"-\" }} {{ default \"d\" .Values.cluster }}",
                "1.2 a-b eu",
            ),
        ];
        for (template, want) in cases {
            assert_eq!(rendered(template).as_deref(), Ok(want), "{template}");
        }
    }

    #[test]
    fn what_cannot_be_rendered_says_why() {
        for template in ["{{ .Changed", "{{ nope 1 }}", "{{ end }}", "  {{ .Values.x }}{{/* */}} "]
        {
            assert!(rendered(template).is_err() || template.contains("Values"), "{template}");
        }
        assert!(rendered("{{ nope 1 }}").unwrap_err().contains("nope"));
        assert_eq!(rendered(" ").unwrap_err(), "it renders to nothing");
        let doubled =
            "{{$x := \"aaaaaaaaaaaaaaaa\"}}".to_owned() + &"{{$x = print $x $x}}".repeat(40);
        assert!(rendered(&doubled).unwrap_err().contains("more than a message"));
        assert!(rendered("{{define \"a\"}}x{{end}}{{template \"a\"}}").is_err());
        assert!(
            rendered("{{ range .Changed.Changes }}{{ printf \"%999999999d\" 1 }}{{ end }}")
                .is_err()
        );
        let loops = "{{ range $.Changed.Changes }}".repeat(18) + &"{{ end }}".repeat(18);
        assert!(rendered(&loops).unwrap_err().contains("turns"), "{:?}", rendered(&loops));
    }
}
