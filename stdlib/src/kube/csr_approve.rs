use super::{
    ACCEPT_EXPIRED, CONTEXT, KUBECONFIG, SERVER,
    api::{Api, Ask},
    csr::{Csr, kind},
    csr_rules::Rule,
    resource::{Kind, name, opt_name},
};
use crate::{
    kubectl,
    support::tell::{self, failed, missing},
};
use async_trait::async_trait;
use http::Method;
use keybook_api::{
    Action, ActionSpec, Applied, ArgKind, ArgSpec, Args, Ctx, Effect, Fault, Plan, Reconcile, Returns, Value,
    WayBack, duration, returns::Key, value::map,
};
use keybook_pki::rfc3339;
use serde_json::{Value as Json, json};
use std::fmt::Display;

/// Approves a certificate signing request.
pub struct CsrApprove;

const SPEC: ActionSpec = ActionSpec {
    name: "kube.csr_approve",
    summary: "Approves a certificate signing request of a known requester.",
    doc: "Only when it is what it should be, signer by signer.\n\n\
With `node`, for `kubernetes.io/kube-apiserver-client-kubelet`: the subject exactly `O=system:nodes`, `CN=system:node:NODE`, no alternative \
names, the usage `client auth` with what goes with it; the node itself has asked, or `username`, such as a bootstrap token's. For \
`kubernetes.io/kubelet-serving`: the same subject, the usage `server auth`, at least one alternative name, each a host name or address of \
the node's status or one of `sans`; nobody but the node itself has asked.\n\n\
With `username` alone, for `kubernetes.io/kube-apiserver-client`, or the `signer` that is named: the common name is the requester's, the \
organizations (groups) are exactly `organizations`, in any order, the subject has nothing else, and each alternative name is one of \
`sans`. `system:masters` is never approved, and `system:nodes` only with `node`. Subjects with escaped characters are refused.\n\n\
Beside its subject and alternative names nothing is read of what the request itself asks for, such as extended key usages. The signers of \
Kubernetes do not heed it either; look at it yourself (`openssl req -text`) when `signer` names somebody else's.\n\n\
A request that is approved already, by whomever, is left alone. Another request of the same name than the planned one is refused. \
When somebody changes it meanwhile, it is judged anew.\n\n\
An approval cannot be taken back; the certificate is good until it ends.\n\n\
After a crash the request tells: approved, by whomever, done; else not done; gone, or another one of that name: nobody can tell.\n\n\
Errors: a request that is not there, is denied or failed, or is not what it should be (with the reason); neither `node` nor `username`; \
whatever the server refuses \
([signers](https://kubernetes.io/docs/reference/access-authn-authz/certificate-signing-requests/#kubernetes-signers)).",
    effect: Effect::Changes,
    args: &[
        ArgSpec::required("name", ArgKind::Text, "The request's name."),
        ArgSpec::optional("node", ArgKind::Text, "", "The node whose request it must be."),
        ArgSpec::optional("username", ArgKind::Text, "system:node:NODE", "Who must have asked."),
        ArgSpec::optional(
            "sans",
            ArgKind::Texts,
            "",
            "Alternative names that it may have, such as `DNS:cp1` or `10.0.0.1`.",
        ),
        ArgSpec::optional("signer", ArgKind::Text, "the one that suits", "The signer that it must be for."),
        ArgSpec::optional(
            "organizations",
            ArgKind::Texts,
            "",
            "Without `node`: the organizations, which are groups to Kubernetes, that its subject must have.",
        ),
        ArgSpec::optional(
            "longest",
            ArgKind::Duration,
            "what the signer gives",
            "The longest validity that it may ask for (`expirationSeconds`).",
        ),
        KUBECONFIG,
        CONTEXT,
        SERVER,
        ACCEPT_EXPIRED,
    ],
    returns: Returns::map(&[
        Key::plain("name", "The request's name."),
        Key::plain("username", "Who asked."),
        Key::plain("subject", "The subject of the request."),
        Key::plain("sans", "Its alternative names."),
        Key::plain("expiration", "How long it asks to be good, such as `1d`; null when it does not say."),
    ]),
    way_back: WayBack::None,
    example: "kube.csr_approve:\n  name: csr-x7k2p\n  node: cp1\n",
};

/// What is true after a refusal: the request may be approved already, but not by this.
const UNCHANGED: &str = "nothing was changed";

/// How often an approval is tried again when somebody else changes the request meanwhile.
const TRIES: u32 = 5;

#[async_trait]
impl Action for CsrApprove {
    fn spec(&self) -> &'static ActionSpec {
        &SPEC
    }

    async fn describe(&self, ctx: &Ctx, args: &Args) -> Result<Plan, Fault> {
        let plan = async {
            let job = Job::from_args(ctx, args).await?;
            let (_, csr) = job.judged(ctx).await?;
            let told = told(&csr);
            let basis = format!("{} {} {told}", csr.uid, csr.digest);
            let memo = memo(&csr);
            Ok(match csr.condition {
                "Pending" => Plan { basis, memo, ..Plan::will([told, format!("approve {}", csr.name)]) },
                _ => Plan::wont(format!("{} is approved already", csr.name)),
            })
        };
        tell::planned(ctx, self, args, plan.await)
    }

    async fn apply(&self, ctx: &Ctx, args: &Args) -> Result<Applied, Fault> {
        let job = Job::from_args(ctx, args).await?;
        for _ in 0..TRIES {
            let (object, csr) = job.judged(ctx).await?;
            if !is_that(&ctx.planned, &csr) {
                return Err(job
                    .refused(ctx, "it is another request of that name than the planned one")
                    .hint("When you resume, it is planned again from what is there then."));
            }
            if csr.condition == "Approved" {
                return Ok(Applied::unchanged(result(&csr)));
            }
            let body = approved(object, &rfc3339(ctx.now));
            let path = format!("{}/approval", job.kind.object(None, &job.name));
            let doing = job.doing();
            let answer = job.api.ask(ctx, Ask::send(&doing, Method::PUT, path, body)).await?;
            if answer.status.is_success() {
                return Ok(Applied::changed(result(&csr)));
            }
            if !answer.is_conflict() {
                return Err(job.api.refused(ctx, &doing, &answer).now(UNCHANGED));
            }
        }
        Err(job.refused(ctx, "it is changed all the time"))
    }

    async fn reconcile(&self, ctx: &Ctx, args: &Args, memo: &Value) -> Result<Reconcile, Fault> {
        let job = Job::from_args(ctx, args).await?;
        let csr = job.find(ctx).await?.map(|object| Csr::read(&object));
        Ok(match csr {
            Some(csr) if !is_that(memo, &csr) => Reconcile::Unknown(format!(
                "the request {} is another one of that name: nobody can tell what became of the first",
                job.name
            )),
            // Whoever did it: there is nothing left to do.
            Some(csr) if csr.condition == "Approved" => Reconcile::Done(result(&csr)),
            Some(_) => Reconcile::NotDone,
            None => Reconcile::Unknown(format!(
                "the request {} is gone: nobody can tell what became of it",
                job.name
            )),
        })
    }
}

fn result(csr: &Csr) -> Value {
    Value::Map(map([
        ("name", csr.name.as_str().into()),
        ("username", csr.username.as_str().into()),
        ("subject", csr.request.as_ref().ok().map(|request| request.subject()).into()),
        ("sans", csr.sans().into()),
        ("expiration", csr.expiration.map(duration::format).into()),
    ]))
}

/// What is asked, for the plan.
fn told(csr: &Csr) -> String {
    let subject = csr.request.as_ref().map_or("", |request| request.subject());
    let sans = match csr.sans().join(", ") {
        none if none.is_empty() => String::new(),
        sans => format!(" with {sans}"),
    };
    let long = csr.expiration.map(|asked| format!(", good for {}", duration::format(asked)));
    format!("{} asks by {} for {subject}{sans}{}", csr.username, csr.name, long.unwrap_or_default())
}

/// What tells the request from another one of its name.
fn memo(csr: &Csr) -> Value {
    Value::Map(map([("uid", csr.uid.as_str().into()), ("request", csr.digest.as_str().into())]))
}

/// Is it the request of this memo, as far as that tells?
fn is_that(memo: &Value, csr: &Csr) -> bool {
    let same = |key: &str, now: &str| memo.get(key).and_then(Value::as_str).is_none_or(|then| then == now);
    same("uid", &csr.uid) && same("request", &csr.digest)
}

/// The object with the condition added, as `kubectl certificate approve` does it.
fn approved(mut object: Json, now: &str) -> Json {
    let condition = json!({"type": "Approved", "status": "True", "reason": "KeybookApprove",
        "message": "This request was checked and approved by keybook.", "lastUpdateTime": now});
    if let Json::Object(top) = &mut object {
        let status = top.entry("status").or_insert_with(|| json!({}));
        match status.get_mut("conditions").and_then(Json::as_array_mut) {
            Some(all) => all.push(condition),
            None => super::objects::set(status, &["conditions".to_owned()], json!([condition])),
        }
    }
    object
}

struct Job {
    api: Api,
    kind: Kind,
    name: String,
    rule: Rule,
}

impl Job {
    async fn from_args(ctx: &Ctx, args: &Args) -> Result<Self, Fault> {
        let wanted = name(args, "name")?.to_owned();
        let (node, username) = (opt_name(args, "node")?.map(str::to_owned), args.opt_text("username")?);
        let username = match (&node, username) {
            (_, Some(username)) => username.to_owned(),
            (Some(node), None) => format!("system:node:{node}"),
            (None, None) => {
                return Err(Fault::usage(
                    "read the arguments",
                    "give `node` or `username`: whose request may it be?",
                ));
            }
        };
        let sans = args.texts("sans")?;
        let sans = sans.iter().map(|san| san.parse()).collect::<Result<_, _>>();
        let sans = sans.map_err(|error| Fault::usage("read the argument `sans`", error))?;
        let organizations = args.texts("organizations")?;
        if node.is_some() && !organizations.is_empty() {
            return Err(Fault::usage("read the arguments", "`organizations` does not go with `node`"));
        }
        let signer = args.opt_text("signer")?.map(str::to_owned);
        let longest = args.opt_duration("longest")?;
        let api = Api::from_args(ctx, args).await?;
        let rule = Rule { node, username, signer, organizations, longest, sans };
        Ok(Self { kind: kind(ctx, &api).await?, api, name: wanted, rule })
    }

    fn doing(&self) -> String {
        format!("approve the certificate signing request {}", self.name)
    }

    fn refused(&self, ctx: &Ctx, why: impl Display) -> Fault {
        failed(ctx, self.api.attempted(&self.doing()), why).now(UNCHANGED)
    }

    async fn find(&self, ctx: &Ctx) -> Result<Option<Json>, Fault> {
        self.api.find(ctx, &self.doing(), &self.kind.object(None, &self.name)).await
    }

    /// The request, which is what it should be, pending or approved.
    async fn judged(&self, ctx: &Ctx) -> Result<(Json, Csr), Fault> {
        let absent = || self.refused(ctx, missing(format!("certificate signing request {}", self.name)));
        let object = self.find(ctx).await?.ok_or_else(absent)?;
        let csr = Csr::read(&object);
        let settled = match csr.condition {
            "Denied" => Some("it is denied already"),
            "Failed" => Some("it has failed already"),
            _ => None,
        };
        if let Some(why) = settled {
            return Err(self.refused(ctx, why).hint("That stays so; it must be asked for anew."));
        }
        let rule = self.with_addresses(ctx).await?;
        rule.check(&csr).map_err(|why| {
            self.refused(ctx, why).hint(
                "Find out who made it; `kubectl certificate deny` is for those that nobody should have.",
            )
        })?;
        Ok((object, csr))
    }

    /// The rule, with the addresses of the node among the names that the request may have.
    async fn with_addresses(&self, ctx: &Ctx) -> Result<Rule, Fault> {
        let mut rule = self.rule.clone();
        if let Some(node) = &rule.node {
            let kind = Kind { namespaced: false, ..Kind::core("nodes", "Node") };
            let found = self.api.find(ctx, &format!("get nodes/{node}"), &kind.object(None, node)).await?;
            let found = found.unwrap_or_default();
            let addresses = found.pointer("/status/addresses").and_then(Json::as_array).into_iter().flatten();
            rule.sans.extend(addresses.filter_map(|one| kubectl::text(one, "/address").parse().ok()));
        }
        Ok(rule)
    }
}
