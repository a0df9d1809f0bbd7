use super::{CACERT, CERT, Client, ENDPOINTS, ETCDCTL, KEY, TIMEOUT, status::read};
use crate::support::tell::{self, failed};
use async_trait::async_trait;
use keybook_api::{
    Action, ActionSpec, Applied, Args, Ctx, Effect, Fault, Plan, Returns, Value, WayBack, returns::Key,
    value::map,
};

/// Who leads an etcd cluster.
pub struct Leader;

const SPEC: ActionSpec = ActionSpec {
    name: "etcd.leader",
    summary: "Tells which etcd member leads.",
    doc: "Asks every endpoint for its status, as `etcd.status` does. Members that do not answer are passed over, but exactly one of the \
others must say that it leads: so a cluster without a quorum, and endpoints of two clusters, never pass. Restart the leader last to have \
only one election.\n\n\
Errors: no leader among the endpoints, more than one; etcdctl cannot be run; the list is empty or names an endpoint twice.",
    effect: Effect::Reads,
    args: &[ENDPOINTS, CACERT, CERT, KEY, ETCDCTL, TIMEOUT],
    returns: Returns::map(&[
        Key::plain("endpoint", "The leader's."),
        Key::plain("id", "The leader's, in hexadecimal."),
        Key::plain("version", "The leader's version of etcd."),
        Key::plain("raft_term", "The present term."),
        Key::plain("others", "The other endpoints, in order."),
    ]),
    way_back: WayBack::Nothing,
    example: "etcd.leader:\n  endpoints: [\"https://10.0.0.1:4001\", \"https://10.0.0.2:4001\"]\n  cacert: /srv/kubernetes/etcd-ca.pem\n  \
cert: /srv/kubernetes/etcd.pem\n  key: /srv/kubernetes/etcd-key.pem\n",
};

const STATUS: [&str; 2] = ["endpoint", "status"];

#[async_trait]
impl Action for Leader {
    fn spec(&self) -> &'static ActionSpec {
        &SPEC
    }

    async fn describe(&self, _ctx: &Ctx, args: &Args) -> Result<Plan, Fault> {
        let lines = Client::from_args(args)?.lines(&STATUS);
        Ok(Plan { lines, ..tell::reads("") })
    }

    async fn apply(&self, ctx: &Ctx, args: &Args) -> Result<Applied, Fault> {
        let client = Client::from_args(args)?;
        let answers = client.ask(ctx, &STATUS).await?;
        let members: Vec<_> =
            answers.into_iter().map(|(endpoint, answer)| (endpoint, read(answer))).collect();
        let leads = members.iter().filter_map(|(endpoint, member)| {
            member.as_ref().ok().filter(|member| member.leader).map(|member| (endpoint, member))
        });
        let leaders: Vec<_> = leads.collect();
        let [(endpoint, leader)] = leaders.as_slice() else {
            let say = |(endpoint, member): &(String, Result<super::status::Member, String>)| match member {
                Ok(member) if member.leader => format!("{endpoint} leads"),
                Ok(_) => format!("{endpoint} follows"),
                Err(why) => format!("{endpoint}: {why}"),
            };
            let all = members.iter().map(say).collect::<Vec<_>>().join("; ");
            let cause = format!("{} of {} members lead: {all}", leaders.len(), members.len());
            return Err(failed(ctx, "find the leader of the etcd cluster", cause)
                .hint("Name every member of the one cluster in `endpoints`."));
        };
        let others: Vec<String> =
            client.endpoints.iter().filter(|other| other != endpoint).cloned().collect();
        Ok(Applied::unchanged(map([
            ("endpoint", endpoint.as_str().into()),
            ("id", leader.id.as_str().into()),
            ("version", leader.version.as_str().into()),
            ("raft_term", leader.raft_term.map(Value::Int).unwrap_or_default()),
            ("others", others.into()),
        ])))
    }
}
