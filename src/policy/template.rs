//! [Templates](https://docs.rs/minijinja) of titles, bodies and messages, as far as a policy file may use them: what cannot make a
//! text grow without bound. The engine counts instructions, and no bytes; a text that is doubled forty times ends a process.
//!
//! So nothing that is put together is given a name: no `set`, `with` or `macro`, no lists but those of constants, no
//! operator that joins or repeats texts. What filters there are, [`FILTERS`] says.

use minijinja::machinery::ast::{BinOp, BinOpKind, Call, CallArg, Expr, Stmt};
use minijinja::machinery::{Token, parse, tokenize};
use minijinja::syntax::SyntaxConfig;

/// More bytes than this are no template of a text.
const MAX_TEMPLATE: usize = 8 * 1024;

/// More tokens than this are in no tag that somebody writes; what is nested in one is nested no deeper.
const MAX_TOKENS: usize = 300;

/// The filters that a template can name: none makes a list of a text, or takes longer than its value is long. `join` and
/// `replace` have bounds of their own.
const FILTERS: [&str; 23] = [
    "upper",
    "lower",
    "title",
    "capitalize",
    "trim",
    "length",
    "count",
    "first",
    "last",
    "default",
    "d",
    "join",
    "replace",
    "map",
    "select",
    "reject",
    "selectattr",
    "rejectattr",
    "int",
    "float",
    "round",
    "abs",
    "bool",
];

/// Why a template cannot be used.
///
/// # Errors
/// What it has that it must not have, or that it is none.
pub fn check(source: &str) -> Result<(), String> {
    if source.len() > MAX_TEMPLATE {
        return Err(format!("it has more than {MAX_TEMPLATE} bytes"));
    }
    tags(source)?;
    let parsed = parse(source, "template", SyntaxConfig::default());
    statement(&parsed.map_err(|error| format!("not a template: {error}"))?)
}

/// Counts the tokens of each tag: the parser, and what comes after it, go down by calling themselves.
fn tags(source: &str) -> Result<(), String> {
    let mut count = 0;
    for token in tokenize(source, false, SyntaxConfig::default()) {
        let (token, _) = token.map_err(|error| format!("not a template: {error}"))?;
        count = match token {
            Token::VariableEnd | Token::BlockEnd => 0,
            _ => count + 1,
        };
        if count > MAX_TOKENS {
            return Err(format!("a tag has more than {MAX_TOKENS} words and signs"));
        }
    }
    Ok(())
}

fn statements(all: &[Stmt<'_>]) -> Result<(), String> {
    all.iter().try_for_each(statement)
}

fn statement(one: &Stmt<'_>) -> Result<(), String> {
    match one {
        Stmt::Template(template) => statements(&template.children),
        Stmt::EmitRaw(_) => Ok(()),
        Stmt::EmitExpr(emit) => expression(&emit.expr),
        Stmt::ForLoop(each) if each.recursive => Err(refused("`recursive`")),
        Stmt::ForLoop(each) => {
            match &each.iter {
                Expr::Call(call) if is_range(call) => arguments(&call.args)?,
                iter => expression(iter)?,
            }
            each.filter_expr.iter().try_for_each(expression)?;
            statements(&each.body)?;
            statements(&each.else_body)
        }
        Stmt::IfCond(cond) => {
            expression(&cond.expr)?;
            statements(&cond.true_body)?;
            statements(&cond.false_body)
        }
        Stmt::WithBlock(_) => Err(refused("`{% with %}`")),
        Stmt::Set(_) | Stmt::SetBlock(_) => Err(refused("`{% set %}`")),
        _ => Err(refused("a block that is neither `for` nor `if`")),
    }
}

fn expression(one: &Expr<'_>) -> Result<(), String> {
    match one {
        Expr::Var(_) | Expr::Const(_) => Ok(()),
        Expr::Slice(slice) => {
            expression(&slice.expr)?;
            let bounds = [&slice.start, &slice.stop, &slice.step];
            bounds.into_iter().flatten().try_for_each(expression)
        }
        Expr::UnaryOp(unary) => expression(&unary.expr),
        Expr::BinOp(binary) => {
            operator(binary)?;
            expression(&binary.left)?;
            expression(&binary.right)
        }
        Expr::Compare(compare) => {
            expression(&compare.expr)?;
            compare.ops.iter().try_for_each(|op| expression(&op.expr))
        }
        Expr::IfExpr(choice) => {
            expression(&choice.test_expr)?;
            expression(&choice.true_expr)?;
            choice.false_expr.iter().try_for_each(expression)
        }
        Expr::Filter(filter) if !FILTERS.contains(&filter.name) => Err(format!(
            "the filter `{}` is not known here; there are {}",
            filter.name,
            FILTERS.join(", ")
        )),
        Expr::Filter(filter) if filter.name == "map" && names_filter(&filter.args) => {
            Err(refused("`map` with a filter; `map(attribute=…)` is"))
        }
        Expr::Filter(filter) => {
            filter.expr.iter().try_for_each(expression)?;
            arguments(&filter.args)
        }
        Expr::Test(test) => {
            expression(&test.expr)?;
            arguments(&test.args)
        }
        Expr::GetAttr(get) => expression(&get.expr),
        Expr::GetItem(get) => {
            expression(&get.expr)?;
            expression(&get.subscript_expr)
        }
        // A loop costs fuel for each step; anything else goes through all of it in one.
        Expr::Call(call) if is_range(call) => {
            Err(refused("`range` elsewhere than in `for … in range(…)`"))
        }
        Expr::Call(_) => Err(refused("a call of something else than `range`")),
        Expr::List(list) => constants(&list.items),
        Expr::Tuple(tuple) => constants(&tuple.items),
        Expr::Map(map) => constants(&map.values),
    }
}

fn is_range(call: &Call<'_>) -> bool {
    matches!(&call.expr, Expr::Var(var) if var.id == "range")
}

/// Operators that make texts longer are refused.
fn operator(binary: &BinOp<'_>) -> Result<(), String> {
    let is_number = |side: &Expr<'_>| matches!(side, Expr::Const(value) if value.value.is_number());
    match binary.op {
        BinOpKind::Concat => Err(refused("`~`; write one `{{ … }}` after the other")),
        BinOpKind::Mul => Err(refused("`*`")),
        BinOpKind::Pow => Err(refused("`**`")),
        BinOpKind::Add if !is_number(&binary.left) && !is_number(&binary.right) => {
            Err(refused("`+` without a number; write one `{{ … }}` after the other"))
        }
        _ => Ok(()),
    }
}

/// True if `map` applies a filter, which costs no fuel, and not an attribute.
fn names_filter(all: &[CallArg<'_>]) -> bool {
    !all.iter().all(|argument| matches!(argument, CallArg::Kwarg("attribute" | "default", _)))
}

fn arguments(all: &[CallArg<'_>]) -> Result<(), String> {
    all.iter().try_for_each(|argument| match argument {
        CallArg::Pos(one) | CallArg::Kwarg(_, one) => expression(one),
        CallArg::PosSplat(_) | CallArg::KwargSplat(_) => Err(refused("`*` before an argument")),
    })
}

fn constants(all: &[Expr<'_>]) -> Result<(), String> {
    let is_constant = |one: &Expr<'_>| matches!(one, Expr::Const(_));
    if all.iter().all(is_constant) {
        Ok(())
    } else {
        Err(refused("a list of anything but constants"))
    }
}

fn refused(what: &str) -> String {
    format!("{what} is not part of these templates")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_could_grow_without_bound_is_refused() {
        for template in [
            "{{ environment }}: {% for i in images if i.to %}{{ i.image | upper }} {{ i.files | join(', ') }}{% endfor %}",
            "{% if images | length > 1 %}{{ images | length - 1 }} more, {{ loop.index + 1 }}{% endif %}",
            "{{ images | map(attribute='image') | join(' and ') }}{{ images[0].to if images else 'none' }}",
            "{{ 'x' in ['x', 'y'] }}{% for i in range(3) %}{{ images | map(attribute='to') | first }}{% endfor %}",
        ] {
            assert_eq!(check(template), Ok(()), "{template}");
        }
        let doubled = format!("{{{{ {} }}}}", vec!["environment"; 40].join(" ~ "));
        for (template, why) in [
            (doubled.as_str(), "`~`"),
            ("{% set a = environment %}{{ a }}", "`{% set %}`"),
            ("{% set a %}x{% endset %}", "`{% set %}`"),
            ("{% with a = environment %}{{ a }}{% endwith %}", "`{% with %}`"),
            ("{% filter upper %}x{% endfilter %}", "neither `for` nor `if`"),
            ("{% for a in images recursive %}{{ loop(images) }}{% endfor %}", "`recursive`"),
            ("{% for a in [images, images] %}{{ a }}{% endfor %}", "constants"),
            ("{% for a in (images, images) %}{{ a }}{% endfor %}", "constants"),
            ("{{ {'a': images} }}", "constants"),
            ("{{ 'x' * 1000000000 }}", "`*`"),
            ("{{ 9 ** 9 ** 9 }}", "`**`"),
            ("{{ environment + environment }}", "`+`"),
            ("{{ environment | indent(1000000000) }}", "filter `indent`"),
            ("{{ images | batch(1000000000, 'x') }}", "filter `batch`"),
            ("{{ images | slice(1000000000, 'x') }}", "filter `slice`"),
            ("{{ '%1000000000d' | format(1) }}", "filter `format`"),
            ("{{ images | map('indent', 1000000000) }}", "`map`"),
            ("{{ images | map('upper') }}", "`map`"),
            ("{{ images | sort }}", "filter `sort`"),
            ("{{ environment | list }}", "filter `list`"),
            (&format!("{{{{ {}1 }}}}", "-".repeat(6_000)), "words and signs"),
            (&format!("{{{{ environment{} }}}}", ".a".repeat(3_000)), "words and signs"),
            (&format!("{{% if {}x %}}{{% endif %}}", "(".repeat(400)), "words and signs"),
            ("{{ images | map(environment) }}", "`map`"),
            ("{{ images | map(*images) }}", "`map`|`*` before"),
            ("{{ images.pop() }}", "a call"),
            ("{{ lipsum(1000000) }}", "a call"),
            ("{% for", "syntax error"),
            (&"x".repeat(MAX_TEMPLATE + 1), "bytes"),
        ] {
            let said = check(template).unwrap_err();
            assert!(why.split('|').any(|why| said.contains(why)), "{template}: {said}");
        }
    }
}
