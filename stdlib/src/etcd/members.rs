use super::{CACERT, CERT, Client, ENDPOINTS, ETCDCTL, KEY, TIMEOUT, trouble};
use crate::support::tell::{self, failed};
use async_trait::async_trait;
use keybook_api::{
    Action, ActionSpec, Applied, Args, Ctx, Effect, Exit, Fault, Plan, Returns, Value, WayBack,
    returns::{Key, Keys},
    value::map,
};
use serde_json::Value as Json;

/// The members of an etcd cluster.
pub struct Members;

const SPEC: ActionSpec = ActionSpec {
    name: "etcd.members",
    summary: "Lists the members that an etcd cluster consists of.",
    doc: "Runs `etcdctl member list` on the host, once for each endpoint; the first answer counts. Unlike `etcd.status` it names members \
that nobody asked, so that a runbook can demand that its hosts are all of them: `result.total == facts.status.total`. Reads the JSON of \
etcdctl 3.4 and the lines of 3.1.\n\n\
Errors: no endpoint answers; etcdctl cannot be run; the list is empty or names an endpoint twice.",
    effect: Effect::Reads,
    args: &[ENDPOINTS, CACERT, CERT, KEY, ETCDCTL, TIMEOUT],
    returns: Returns::map(&[
        Key::plain("total", "How many members there are."),
        Key::list(
            "members",
            "One for each member.",
            Keys::own(&[
                Key::plain("id", "In hexadecimal."),
                Key::plain("name", "Empty for one that never joined."),
                Key::plain("started", "Whether it ever joined."),
                Key::plain("learner", "Whether it is a learner."),
                Key::plain("peer_urls", "For the other members."),
                Key::plain("client_urls", "For clients."),
            ]),
        ),
    ]),
    way_back: WayBack::Nothing,
    example: "etcd.members:\n  endpoints: [\"https://10.0.0.1:4001\"]\n  cacert: /srv/kubernetes/etcd-ca.pem\n  \
cert: /srv/kubernetes/etcd.pem\n  key: /srv/kubernetes/etcd-key.pem\n",
};

const LIST: [&str; 2] = ["member", "list"];

#[async_trait]
impl Action for Members {
    fn spec(&self) -> &'static ActionSpec {
        &SPEC
    }

    async fn describe(&self, _ctx: &Ctx, args: &Args) -> Result<Plan, Fault> {
        let lines = Client::from_args(args)?.lines(&LIST);
        Ok(Plan { lines, ..tell::reads("") })
    }

    async fn apply(&self, ctx: &Ctx, args: &Args) -> Result<Applied, Fault> {
        let answers = Client::from_args(args)?.ask(ctx, &LIST).await?;
        let mut troubles = Vec::new();
        for (endpoint, answer) in answers {
            match answer.and_then(|exit| read(&exit)) {
                Ok(members) => {
                    let total = Value::Int(members.len() as i64);
                    return Ok(Applied::unchanged(map([("total", total), ("members", members.into())])));
                }
                Err(why) => troubles.push(format!("{endpoint}: {why}")),
            }
        }
        Err(failed(ctx, "list the members of the etcd cluster", troubles.join("; ")))
    }
}

/// The members in an answer, or why there are none.
fn read(exit: &Exit) -> Result<Vec<Value>, String> {
    let out = exit.out();
    let json: Option<Json> = out.lines().find_map(|line| serde_json::from_str(line.trim()).ok());
    let members = match json.as_ref().and_then(|json| json.get("members")).and_then(Json::as_array) {
        Some(members) => members.iter().map(from_json).collect::<Option<Vec<_>>>(),
        None => Some(out.lines().filter_map(from_line).collect()),
    };
    members.filter(|members| exit.ok() && !members.is_empty()).ok_or_else(|| trouble(exit))
}

fn from_json(member: &Json) -> Option<Value> {
    let urls = |name: &str| -> Vec<String> {
        let list = member.get(name).and_then(Json::as_array).into_iter().flatten();
        list.filter_map(Json::as_str).map(str::to_owned).collect()
    };
    let name = member.get("name").and_then(Json::as_str).unwrap_or("");
    let learner = member.get("isLearner").and_then(Json::as_bool).unwrap_or(false);
    let id = format!("{:x}", member.get("ID")?.as_u64()?);
    Some(value(&id, name, !name.is_empty(), learner, urls("peerURLs"), urls("clientURLs")))
}

/// `id, started, name, peer URLs, client URLs`; since 3.4 a learner flag follows.
fn from_line(line: &str) -> Option<Value> {
    let fields: Vec<&str> = line.split(", ").map(str::trim).collect();
    let &[id, status, name, peers, clients] = fields.first_chunk::<5>()?;
    u64::from_str_radix(id, 16).ok()?;
    let urls = |text: &str| text.split(',').filter(|url| !url.is_empty()).map(str::to_owned).collect();
    let learner = fields.get(5) == Some(&"true");
    Some(value(id, name, status == "started", learner, urls(peers), urls(clients)))
}

fn value(
    id: &str,
    name: &str,
    started: bool,
    learner: bool,
    peers: Vec<String>,
    clients: Vec<String>,
) -> Value {
    Value::Map(map([
        ("id", id.into()),
        ("name", name.into()),
        ("started", started.into()),
        ("learner", learner.into()),
        ("peer_urls", peers.into()),
        ("client_urls", clients.into()),
    ]))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::exit;

    #[test]
    fn lines_and_json_are_read_alike() {
        let old = "2026-01-01 00:00:00.0 W | pkg/flags: unrecognized environment variable\n\
8e9e05c52164694d, started, one, http://127.0.0.1:1, https://a:1,https://b:1\nffffffffffffffff, unstarted, , http://c:1, \n";
        let new = r#"{"header":{},"members":[{"ID":10276657743932975437,"name":"one","peerURLs":["http://127.0.0.1:1"],"clientURLs":["https://a:1","https://b:1"]},{"ID":18446744073709551615,"peerURLs":["http://c:1"]}]}"#;
        let (old, new) = (read(&exit(0, old, "")).unwrap(), read(&exit(0, new, "")).unwrap());
        assert_eq!(old, new);
        assert_eq!(new[1].get("started"), Some(&false.into()));
        assert_eq!(new[0].get("client_urls"), Some(&vec!["https://a:1", "https://b:1"].into()));
    }

    #[test]
    fn no_answer_is_an_error_text() {
        assert_eq!(
            read(&exit(1, "", "Error: context deadline exceeded")),
            Err("Error: context deadline exceeded".into())
        );
        assert!(read(&exit(0, r#"{"members":[]}"#, "")).is_err());
    }
}
