//! Label selectors, by the rules of
//! [Kubernetes](https://kubernetes.io/docs/concepts/overview/working-with-objects/labels/#label-selectors).

use std::collections::BTreeMap;

use super::object::FluxObject;

/// Which resources are meant, by their labels. All of its parts must hold.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Selector {
    labels: BTreeMap<String, String>,
    expressions: Vec<Expression>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Expression {
    key: String,
    operator: SelectorOperator,
    values: Vec<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum SelectorOperator {
    In,
    NotIn,
    Exists,
    DoesNotExist,
}

impl Selector {
    /// Reads a selector.
    ///
    /// # Errors
    /// When an expression is not one.
    pub(super) fn read(object: &FluxObject<'_>, keys: &[&str]) -> Result<Self, String> {
        let at = |key| [keys, &[key]].concat();
        let items = object.node(&at("matchExpressions"));
        let items = items.map(|node| object.stream.items(object.stream.target(node)).to_vec());
        let expressions = items.into_iter().flatten().map(|item| {
            let item = FluxObject { file: object.file, stream: object.stream, root: item };
            let operator = match item.text(&["operator"]) {
                Some("In") => SelectorOperator::In,
                Some("NotIn") => SelectorOperator::NotIn,
                Some("Exists") => SelectorOperator::Exists,
                Some("DoesNotExist") => SelectorOperator::DoesNotExist,
                other => {
                    let shown = other.unwrap_or_default().escape_debug();
                    return Err(format!("`{shown}` is no operator of a label selector"));
                }
            };
            let key = item.text(&["key"]).ok_or("an expression of its selector has no key")?;
            Ok(Expression { key: key.to_owned(), operator, values: item.list(&["values"]) })
        });
        let expressions = expressions.collect::<Result<_, _>>()?;
        Ok(Self { labels: object.map(&at("matchLabels")), expressions })
    }

    /// Whether a resource with these labels is meant.
    pub(super) fn matches(&self, labels: &BTreeMap<String, String>) -> bool {
        let holds = |expression: &Expression| {
            let value = labels.get(&expression.key);
            let listed = value.is_some_and(|value| expression.values.contains(value));
            match expression.operator {
                SelectorOperator::In => listed,
                // A resource without the label is not in the list either.
                SelectorOperator::NotIn => !listed,
                SelectorOperator::Exists => value.is_some(),
                SelectorOperator::DoesNotExist => value.is_none(),
            }
        };
        self.labels.iter().all(|(key, value)| labels.get(key) == Some(value))
            && self.expressions.iter().all(holds)
    }
}

#[cfg(test)]
mod tests {
    use super::super::PolicyFile;
    use super::*;
    use crate::yaml::Stream;

    fn read(text: &str) -> Result<Selector, String> {
        let file = PolicyFile::new("a.yaml", text);
        let stream = Stream::parse(text).unwrap();
        let root = stream.documents()[0];
        Selector::read(&FluxObject { file: &file, stream: &stream, root }, &[])
    }

    #[test]
    fn expressions_hold_as_in_kubernetes() {
        let labels = BTreeMap::from([("tier".to_owned(), "web".to_owned())]);
        let cases = [
            ("{}", true),
            ("{matchLabels: {tier: web}}", true),
            ("{matchLabels: {tier: db}}", false),
            ("{matchExpressions: [{key: tier, operator: In, values: [db, web]}]}", true),
            ("{matchExpressions: [{key: tier, operator: In, values: [db]}]}", false),
            ("{matchExpressions: [{key: tier, operator: NotIn, values: [db]}]}", true),
            ("{matchExpressions: [{key: zone, operator: NotIn, values: [db]}]}", true),
            ("{matchExpressions: [{key: zone, operator: In, values: [db]}]}", false),
            ("{matchExpressions: [{key: tier, operator: Exists}]}", true),
            ("{matchExpressions: [{key: tier, operator: DoesNotExist}]}", false),
            (
                "{matchLabels: {tier: web}, matchExpressions: [{key: zone, operator: Exists}]}",
                false,
            ),
        ];
        for (text, want) in cases {
            assert_eq!(read(text).unwrap().matches(&labels), want, "{text}");
        }
        assert!(read("{matchExpressions: [{key: a, operator: Near}]}").is_err());
        assert!(read("{matchExpressions: [{operator: Exists}]}").is_err());
    }
}
