use super::{Answer, CACERT, CERT, Client, ENDPOINTS, ETCDCTL, KEY, TIMEOUT, json, trouble};
use crate::support::tell;
use async_trait::async_trait;
use keybook_api::{
    Action, ActionSpec, Applied, Args, Ctx, Effect, Exit, Fault, Plan, Returns, Value, WayBack,
    returns::{Key, Keys},
    value::map,
};
use serde_json::Value as Json;

/// Health of etcd members.
pub struct Health;

const SPEC: ActionSpec = ActionSpec {
    name: "etcd.health",
    summary: "Asks etcd members whether they can commit a proposal.",
    doc: "Runs `etcdctl endpoint health` on the host, once for each endpoint and all at the same time, so that a dead member neither \
hangs nor hides the others. A member is healthy when it commits through the cluster's quorum \
([etcd's monitoring guide](https://etcd.io/docs/v3.4/op-guide/monitoring/)). Reads the JSON of etcdctl 3.4 and the lines of 3.1. An \
unhealthy or unreachable member is no error: demand what is needed in `expect`, for example `result.quorum`.\n\n\
Errors: etcdctl cannot be run; the list is empty or names an endpoint twice.",
    effect: Effect::Reads,
    args: &[ENDPOINTS, CACERT, CERT, KEY, ETCDCTL, TIMEOUT],
    returns: Returns::map(&[
        Key::plain("healthy", "How many members are healthy."),
        Key::plain("total", "How many endpoints were asked."),
        Key::plain("all", "Whether every endpoint is healthy."),
        Key::plain("quorum", "Whether more than half of the endpoints are."),
        Key::list(
            "members",
            "One for each endpoint, in order.",
            Keys::own(&[
                Key::plain("endpoint", "The endpoint."),
                Key::plain("health", "Whether it is healthy."),
                Key::plain("error", "Why not; null when healthy."),
            ]),
        ),
    ]),
    way_back: WayBack::Nothing,
    example: "etcd.health:\n  endpoints: [\"https://10.0.0.1:4001\", \"https://10.0.0.2:4001\"]\n  cacert: /srv/kubernetes/etcd-ca.pem\n  \
cert: /srv/kubernetes/etcd.pem\n  key: /srv/kubernetes/etcd-key.pem\n",
};

#[async_trait]
impl Action for Health {
    fn spec(&self) -> &'static ActionSpec {
        &SPEC
    }

    async fn describe(&self, _ctx: &Ctx, args: &Args) -> Result<Plan, Fault> {
        let lines = Client::from_args(args)?.lines(&["endpoint", "health"]);
        Ok(Plan { lines, ..tell::reads("") })
    }

    async fn apply(&self, ctx: &Ctx, args: &Args) -> Result<Applied, Fault> {
        let answers = Client::from_args(args)?.ask(ctx, &["endpoint", "health"]).await?;
        let members: Vec<(String, Result<(), String>)> =
            answers.into_iter().map(|(endpoint, answer)| (endpoint, verdict(answer))).collect();
        let total = members.len();
        let healthy = members.iter().filter(|(_, verdict)| verdict.is_ok()).count();
        let members: Vec<Value> =
            members.into_iter().map(|(endpoint, verdict)| member(endpoint, verdict)).collect();
        Ok(Applied::unchanged(map([
            ("healthy", Value::Int(healthy as i64)),
            ("total", Value::Int(total as i64)),
            ("all", (healthy == total).into()),
            ("quorum", (healthy > total / 2).into()),
            ("members", Value::List(members)),
        ])))
    }
}

fn member(endpoint: String, verdict: Result<(), String>) -> Value {
    Value::Map(map([
        ("endpoint", endpoint.into()),
        ("health", verdict.is_ok().into()),
        ("error", verdict.err().into()),
    ]))
}

/// Healthy, or why not. What cannot be read is not healthy.
fn verdict(answer: Answer) -> Result<(), String> {
    let exit = answer?;
    match json(&exit) {
        Some(answer) if answer.get("health") == Some(&Json::Bool(true)) => Ok(()),
        Some(answer) => Err(answer.get("error").and_then(Json::as_str).unwrap_or("unhealthy").to_owned()),
        None => from_text(&exit),
    }
}

/// etcdctl 3.1: `URL is healthy: …` or `URL is unhealthy: why`, with warnings before.
fn from_text(exit: &Exit) -> Result<(), String> {
    let (out, err) = (exit.out(), exit.err());
    for line in out.lines().chain(err.lines()) {
        if let Some((_, why)) = line.split_once(" is unhealthy: ") {
            return Err(why.to_owned());
        }
        if line.contains(" is healthy: ") {
            return Ok(());
        }
    }
    Err(trouble(exit))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::exit;

    #[test]
    fn answers_of_old_and_new_etcdctl_are_read() {
        let lines = include_str!("../../fixtures/etcdctl-3.1-health.txt");
        assert_eq!(verdict(Ok(exit(0, lines, ""))), Ok(()));
        let old = "x | warning: y\nhttps://h:4001 is unhealthy: failed to commit proposal: context deadline exceeded\n";
        assert_eq!(
            verdict(Ok(exit(1, old, ""))),
            Err("failed to commit proposal: context deadline exceeded".into())
        );
        assert_eq!(verdict(Ok(exit(1, "", old))), verdict(Ok(exit(1, old, ""))));
        let new = r#"[{"endpoint":"e","health":false,"took":"5s","error":"context deadline exceeded"}]"#;
        assert_eq!(
            verdict(Ok(exit(1, new, "Error: unhealthy cluster"))),
            Err("context deadline exceeded".into())
        );
        assert_eq!(verdict(Ok(exit(0, r#"[{"endpoint":"e","health":true}]"#, ""))), Ok(()));
    }

    #[test]
    fn what_cannot_be_read_is_not_healthy() {
        assert_eq!(verdict(Ok(exit(0, "", ""))), Err("etcdctl ended with status 0".into()));
        assert_eq!(verdict(Ok(exit(0, "[]", ""))), Err("[]".into()));
        assert_eq!(
            verdict(Ok(exit(1, "", "Error: open /x: no such file"))),
            Err("Error: open /x: no such file".into())
        );
        assert_eq!(verdict(Err("no answer within 10s".into())), Err("no answer within 10s".into()));
    }
}
