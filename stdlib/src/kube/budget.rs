//! PodDisruptionBudgets that stand in the way of a restart.

use super::{
    list::{Select, list},
    resource::Kind,
    rollout::{Workload, number},
};
use crate::kubectl;
use keybook_api::{Ctx, Fault};
use serde_json::Value as Json;

/// The budgets that select the workload's pods and allow no disruption now, each with what it says.
pub async fn exhausted(ctx: &Ctx, workload: &Workload, object: &Json) -> Result<Vec<String>, Fault> {
    // Servers before 1.21 have only v1beta1, those from 1.25 only v1; a server without the group has no budgets.
    let kind = Kind::find(ctx, &workload.api, "poddisruptionbudgets.policy").await;
    let kind = match kind {
        Ok(kind) => kind,
        Err(fault) if fault.cause.starts_with("there is no ") => return Ok(Vec::new()),
        Err(fault) => return Err(fault),
    };
    let (all, _) = list(ctx, &workload.api, &kind, Some(&workload.namespace), &Select::default()).await?;
    let labels = object.pointer("/spec/template/metadata/labels").unwrap_or(&Json::Null);
    // An empty selector selects nothing in v1beta1 and everything in v1.
    let empty = kind.version == "policy/v1";
    let none = |budget: &&Json| number(budget, "/status/disruptionsAllowed") < 1;
    let meant =
        all.iter().filter(|budget| selects(budget.pointer("/spec/selector"), labels, empty)).filter(none);
    Ok(meant.map(told).collect())
}

fn told(budget: &Json) -> String {
    let of = |field: &str| number(budget, &format!("/status/{field}"));
    format!(
        "{} (healthy {}, needed {}, disruptions allowed {})",
        kubectl::text(budget, "/metadata/name"),
        of("currentHealthy"),
        of("desiredHealthy"),
        of("disruptionsAllowed")
    )
}

/// Does a selector (LabelSelector of meta/v1) select these labels?
fn selects(selector: Option<&Json>, labels: &Json, empty: bool) -> bool {
    let Some(selector) = selector.filter(|selector| selector.is_object()) else { return false };
    let wanted = selector.get("matchLabels").and_then(Json::as_object);
    let expressions = selector.get("matchExpressions").and_then(Json::as_array);
    if wanted.is_none_or(serde_json::Map::is_empty) && expressions.is_none_or(Vec::is_empty) {
        return empty;
    }
    wanted.into_iter().flatten().all(|(key, value)| labels.get(key) == Some(value))
        && expressions.into_iter().flatten().all(|one| expression(one, labels))
}

fn expression(one: &Json, labels: &Json) -> bool {
    let own = labels.get(kubectl::text(one, "/key"));
    let among = || {
        let mut values = one.get("values").and_then(Json::as_array).into_iter().flatten();
        own.is_some_and(|own| values.any(|value| value == own))
    };
    match kubectl::text(one, "/operator") {
        "In" => among(),
        "NotIn" => !among(),
        "Exists" => own.is_some(),
        "DoesNotExist" => own.is_none(),
        // An operator that nobody knows yet may select it: better to stop once too often.
        _ => true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn selectors_select_as_the_server_does() {
        let labels = json!({"app": "web", "tier": "front"});
        let one = |operator: &str, key: &str, values: Json| json!({"matchExpressions": [{"key": key, "operator": operator, "values": values}]});
        for (selector, expected) in [
            (json!({"matchLabels": {"app": "web"}}), true),
            (json!({"matchLabels": {"app": "web", "x": "y"}}), false),
            (one("In", "tier", json!(["front", "back"])), true),
            (one("In", "tier", json!(["back"])), false),
            (one("NotIn", "tier", json!(["front"])), false),
            (one("NotIn", "none", json!(["front"])), true),
            (one("Exists", "app", Json::Null), true),
            (one("DoesNotExist", "app", Json::Null), false),
        ] {
            assert_eq!(selects(Some(&selector), &labels, false), expected, "{selector}");
        }
        for empty in [true, false] {
            assert_eq!(selects(Some(&json!({})), &labels, empty), empty);
        }
        assert!(!selects(None, &labels, true));
    }
}
