use super::{Answer, CACERT, CERT, Client, ENDPOINTS, ETCDCTL, KEY, TIMEOUT, json, trouble};
use crate::support::tell;
use async_trait::async_trait;
use keybook_api::{
    Action, ActionSpec, Applied, Args, Ctx, Effect, Exit, Fault, Plan, Returns, Value, WayBack,
    returns::{Key, Keys},
    value::map,
};
use serde_json::Value as Json;

/// Status of etcd members.
pub struct Status;

const SPEC: ActionSpec = ActionSpec {
    name: "etcd.status",
    summary: "Asks etcd members for their version, leader and Raft state.",
    doc: "Runs `etcdctl endpoint status` on the host, once for each endpoint and all at the same time, so that a dead member neither \
hangs nor hides the others. Reads the JSON of etcdctl 3.4 and the comma-separated lines of 3.1 (their size is rounded). An unreachable \
member is no error: demand what is needed in `expect`, for example `result.one_leader`.\n\n\
Errors: etcdctl cannot be run; the list is empty or names an endpoint twice.",
    effect: Effect::Reads,
    args: &[ENDPOINTS, CACERT, CERT, KEY, ETCDCTL, TIMEOUT],
    returns: Returns::map(&[
        Key::plain("total", "How many endpoints were asked."),
        Key::plain("reachable", "How many answered."),
        Key::plain("leaders", "How many members say that they lead."),
        Key::plain("one_leader", "Whether exactly one does."),
        Key::list(
            "members",
            "One for each endpoint, in order; of an unreachable one only `endpoint`, `reachable` and `error` are not null.",
            Keys::own(&[
                Key::plain("endpoint", "The endpoint."),
                Key::plain("reachable", "Whether it answered."),
                Key::plain("id", "In hexadecimal."),
                Key::plain("version", "Its version of etcd."),
                Key::plain("leader", "Whether it says that it leads."),
                Key::plain("raft_term", "Its term."),
                Key::plain("raft_index", "Its index."),
                Key::plain("db_size", "In bytes."),
                Key::plain("error", "Why it did not answer; null when it did."),
            ]),
        ),
    ]),
    way_back: WayBack::Nothing,
    example: "etcd.status:\n  endpoints: [\"https://10.0.0.1:4001\", \"https://10.0.0.2:4001\"]\n  cacert: /srv/kubernetes/etcd-ca.pem\n  \
cert: /srv/kubernetes/etcd.pem\n  key: /srv/kubernetes/etcd-key.pem\n",
};

#[async_trait]
impl Action for Status {
    fn spec(&self) -> &'static ActionSpec {
        &SPEC
    }

    async fn describe(&self, _ctx: &Ctx, args: &Args) -> Result<Plan, Fault> {
        let lines = Client::from_args(args)?.lines(&["endpoint", "status"]);
        Ok(Plan { lines, ..tell::reads("") })
    }

    async fn apply(&self, ctx: &Ctx, args: &Args) -> Result<Applied, Fault> {
        let answers = Client::from_args(args)?.ask(ctx, &["endpoint", "status"]).await?;
        let members: Vec<(String, Result<Member, String>)> =
            answers.into_iter().map(|(endpoint, answer)| (endpoint, read(answer))).collect();
        let known = || members.iter().filter_map(|(_, member)| member.as_ref().ok());
        let leaders = known().filter(|member| member.leader).count();
        let counts = [("total", members.len()), ("reachable", known().count()), ("leaders", leaders)];
        let mut result = map(counts.map(|(name, count)| (name, Value::Int(count as i64))));
        result.insert("one_leader".to_owned(), (leaders == 1).into());
        let members: Vec<Value> = members.iter().map(|(endpoint, member)| value(endpoint, member)).collect();
        result.insert("members".to_owned(), Value::List(members));
        Ok(Applied::unchanged(result))
    }
}

#[derive(Debug, PartialEq)]
pub(super) struct Member {
    pub id: String,
    pub version: String,
    pub leader: bool,
    pub raft_term: Option<i64>,
    raft_index: Option<i64>,
    db_size: Option<i64>,
}

fn value(endpoint: &str, member: &Result<Member, String>) -> Value {
    let known = member.as_ref().ok();
    let int = |of: fn(&Member) -> Option<i64>| known.and_then(of).into();
    Value::Map(map([
        ("endpoint", endpoint.into()),
        ("reachable", known.is_some().into()),
        ("id", known.map(|member| member.id.as_str()).into()),
        ("version", known.map(|member| member.version.as_str()).into()),
        ("leader", known.map(|member| member.leader).into()),
        ("raft_term", int(|member| member.raft_term)),
        ("raft_index", int(|member| member.raft_index)),
        ("db_size", int(|member| member.db_size)),
        ("error", member.as_ref().err().map(String::as_str).into()),
    ]))
}

pub(super) fn read(answer: Answer) -> Result<Member, String> {
    let exit = answer?;
    json(&exit).as_ref().and_then(from_json).or_else(|| from_text(&exit)).ok_or_else(|| trouble(&exit))
}

fn from_json(json: &Json) -> Option<Member> {
    let status = json.get("Status")?;
    let id = status.get("header")?.get("member_id")?.as_u64()?;
    Some(Member {
        id: format!("{id:x}"),
        version: status.get("version")?.as_str()?.to_owned(),
        // A member without a leader leaves the field out, or writes 0.
        leader: status.get("leader").and_then(Json::as_u64) == Some(id),
        raft_term: status.get("raftTerm").and_then(Json::as_i64),
        raft_index: status.get("raftIndex").and_then(Json::as_i64),
        db_size: status.get("dbSize").and_then(Json::as_i64),
    })
}

/// `endpoint, id, version, size, leader, term, index`; since 3.4 a learner flag follows the leader's.
fn from_text(exit: &Exit) -> Option<Member> {
    let out = exit.out();
    out.lines().find_map(|line| {
        let fields: Vec<&str> = line.split(", ").map(str::trim).collect();
        let (&[_, id, version, size, leader], rest) = fields.split_first_chunk::<5>()?;
        let leader = leader.parse().ok()?;
        let numbers = if rest.first()?.parse::<bool>().is_ok() { rest.get(1..)? } else { rest };
        u64::from_str_radix(id, 16).ok()?;
        Some(Member {
            id: id.to_owned(),
            version: version.to_owned(),
            leader,
            raft_term: numbers.first()?.parse().ok(),
            raft_index: numbers.get(1)?.parse().ok(),
            db_size: bytes(size),
        })
    })
}

/// `15 MB` as etcdctl writes it: steps of 1000 (go-humanize's Bytes).
fn bytes(text: &str) -> Option<i64> {
    let (number, unit) = text.split_once(' ')?;
    let power = ["B", "kB", "MB", "GB", "TB"].iter().position(|known| *known == unit)?;
    let number: f64 = number.parse().ok()?;
    Some((number * 1000f64.powi(i32::try_from(power).ok()?)).round() as i64)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::exit;

    #[test]
    fn lines_of_etcdctl_3_1_are_read() {
        let lines = include_str!("../../fixtures/etcdctl-3.1-status.txt");
        let warning = lines.lines().next().unwrap();
        let members: Vec<Member> = lines
            .lines()
            .skip(1)
            .map(|line| read(Ok(exit(0, &format!("{warning}\n{line}\n"), ""))).unwrap())
            .collect();
        assert_eq!(members.iter().filter(|member| member.leader).count(), 1);
        assert_eq!(
            members[0],
            Member {
                id: "58b07431c59f5a61".into(),
                version: "3.1.18".into(),
                leader: false,
                raft_term: Some(386),
                raft_index: Some(14_180_208),
                db_size: Some(15_000_000),
            }
        );
    }

    #[test]
    fn lines_of_etcdctl_3_4_are_read() {
        let line = "https://a:1, 8e9e05c52164694d, 3.4.23, 20 kB, true, false, 2, 4, 4, \n";
        let member = read(Ok(exit(0, line, ""))).unwrap();
        assert_eq!((member.leader, member.raft_term, member.raft_index), (true, Some(2), Some(4)));
    }

    #[test]
    fn json_ids_beyond_63_bits_are_read() {
        let json = r#"[{"Endpoint":"e","Status":{"header":{"member_id":18446744073709551615},"version":"3.4.23","dbSize":20480,"leader":18446744073709551615,"raftIndex":4,"raftTerm":2}}]"#;
        let member = read(Ok(exit(0, json, ""))).unwrap();
        assert_eq!((member.id.as_str(), member.leader), ("ffffffffffffffff", true));
        let lost = json.replace(r#""leader":18446744073709551615,"#, "");
        assert!(!read(Ok(exit(0, &lost, ""))).unwrap().leader);
    }

    #[test]
    fn no_answer_is_an_error_text() {
        assert_eq!(
            read(Ok(exit(1, "[]\n", "Failed to get the status"))),
            Err("Failed to get the status".into())
        );
        assert_eq!(read(Ok(exit(0, "a, b, c, d, e, f, g", ""))), Err("a, b, c, d, e, f, g".into()));
        assert_eq!(read(Err("no answer within 10s".into())), Err("no answer within 10s".into()));
    }
}
