//! What is said of a result that is not as its step demands.

use super::unit::Attempt;
use crate::model::Demand;
use keybook_api::Value;

/// Lists and maps are told by their size, and texts longer than this are cut.
const LONG: usize = 80;

impl Attempt<'_> {
    /// Why a demand is not met: in the runbook's own words, else the expression with the values that it looks at.
    pub(super) fn unmet_demand(&self, demand: &Demand) -> String {
        let rendered = demand.otherwise.as_ref().map(|text| self.session.script.render(text, &self.scope));
        if let Some(Ok(text)) = rendered
            && !text.has_secret()
            && !self.step.secret
        {
            return self.clean(text.to_string());
        }
        let result = self.scope.get("result");
        let reason = result.and_then(|result| result.get("reason")).and_then(Value::as_str);
        let why = match reason {
            Some(reason) if !self.step.secret => format!(": {reason}"),
            _ => self.looked_at(demand),
        };
        self.clean(format!("`{}` is false{why}", demand.that.text().as_str().trim()))
    }

    /// A plan is told without any other look for secrets.
    fn clean(&self, text: String) -> String {
        self.session.redactor.text(&text)
    }

    /// The values of the names in its expression, such as `result.total`.
    fn looked_at(&self, demand: &Demand) -> String {
        if self.step.secret {
            return String::new();
        }
        let mut told: Vec<String> = Vec::new();
        for used in demand.that.names() {
            let Some(root) = self.scope.get(&used.name) else { continue };
            let (mut value, mut name) = (root, used.name.clone());
            for part in &used.path {
                let Some(inner) = value.get(part) else { break };
                (value, name) = (inner, format!("{name}.{part}"));
            }
            let Some(shown) = short(value) else { continue };
            let line = format!("{name} is {shown}");
            if !told.contains(&line) {
                told.push(line);
            }
        }
        if told.is_empty() { String::new() } else { format!(": {}", told.join(", ")) }
    }
}

/// A value in few words; `None` for what would be no help, or is secret.
fn short(value: &Value) -> Option<String> {
    if value.has_secret() {
        return None;
    }
    match value {
        Value::Bool(_) | Value::Int(_) | Value::Float(_) => Some(value.to_string()),
        Value::Null => Some("null".to_owned()),
        Value::Text(text) if text.chars().count() <= LONG => Some(format!("{text:?}")),
        Value::List(list) => Some(format!("a list of {}", list.len())),
        _ => None,
    }
}
