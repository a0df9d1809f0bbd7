use super::{
    ACCEPT_EXPIRED, CONTEXT, KUBECONFIG, SERVER,
    api::{Api, Ask},
    csr::{Csr, kind},
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
    WayBack, returns::Key, value::map,
};
use keybook_pki::{San, rfc3339};
use serde_json::{Value as Json, json};

/// Approves a certificate signing request.
pub struct CsrApprove;

const SPEC: ActionSpec = ActionSpec {
    name: "kube.csr_approve",
    summary: "Approves a certificate signing request of a known requester.",
    doc: "Only when it is what it should be. With `node` the subject must be that node's (`O=system:nodes`, `CN=system:node:NODE`), the \
requester the node itself (or `username`, such as a bootstrap token's, for the first certificate), and each alternative name an address or \
name of the node's status, or one of `sans`. With `username` alone the common name must be the requester's and each alternative name one of \
`sans`. `O=system:masters` is never approved. One that is approved already is left alone.\n\n\
An approval cannot be taken back; the certificate is good until it ends.\n\n\
After a crash the request tells: approved, done; else not done.\n\n\
Errors: a request that is not there, is denied, or is not what it should be (with the reason); neither `node` nor `username`; whatever the \
server refuses \
([approval](https://kubernetes.io/docs/reference/access-authn-authz/certificate-signing-requests/#approval-rejection)).",
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
    ]),
    way_back: WayBack::None,
    example: "kube.csr_approve:\n  name: csr-x7k2p\n  node: cp1\n",
};

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
            let (subject, sans) =
                (csr.request.as_ref().map_or("", |request| request.subject()), csr.sans().join(", "));
            let told = format!("{} asks by {} for {subject} with {sans}", csr.username, csr.name);
            Ok(match csr.condition {
                "Pending" => {
                    Plan { basis: told.clone(), ..Plan::will([told, format!("approve {}", csr.name)]) }
                }
                _ => Plan::wont(format!("{} is approved already", csr.name)),
            })
        };
        tell::planned(ctx, self, args, plan.await)
    }

    async fn apply(&self, ctx: &Ctx, args: &Args) -> Result<Applied, Fault> {
        let job = Job::from_args(ctx, args).await?;
        for _ in 0..TRIES {
            let (object, csr) = job.judged(ctx).await?;
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
                return Err(job.api.refused(ctx, &doing, &answer).now("it is not approved"));
            }
        }
        Err(failed(ctx, job.doing(), "it is changed all the time").now("it is not approved"))
    }

    async fn reconcile(&self, ctx: &Ctx, args: &Args, _memo: &Value) -> Result<Reconcile, Fault> {
        let job = Job::from_args(ctx, args).await?;
        let csr = job.find(ctx).await?.map(|object| Csr::read(&object));
        Ok(match csr {
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
    ]))
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
    node: Option<String>,
    username: String,
    sans: Vec<San>,
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
        let api = Api::from_args(ctx, args).await?;
        Ok(Self { kind: kind(ctx, &api).await?, api, name: wanted, node, username, sans })
    }

    fn doing(&self) -> String {
        format!("approve the certificate signing request {}", self.name)
    }

    async fn find(&self, ctx: &Ctx) -> Result<Option<Json>, Fault> {
        self.api.find(ctx, &self.doing(), &self.kind.object(None, &self.name)).await
    }

    /// The request, which is what it should be, pending or approved.
    async fn judged(&self, ctx: &Ctx) -> Result<(Json, Csr), Fault> {
        let refused =
            |why: String| failed(ctx, self.api.attempted(&self.doing()), why).now("it is not approved");
        let object = self.find(ctx).await?;
        let object =
            object.ok_or_else(|| refused(missing(format!("certificate signing request {}", self.name))))?;
        let csr = Csr::read(&object);
        if !["Pending", "Approved"].contains(&csr.condition) {
            return Err(refused(format!("it is {} already", csr.condition.to_lowercase())));
        }
        let allowed = self.allowed(ctx).await?;
        self.fits(&csr, &allowed).map_err(|why| {
            refused(why).hint(
                "Find out who made it; `kubectl certificate deny` is for those that nobody should have.",
            )
        })?;
        Ok((object, csr))
    }

    /// The alternative names that it may have.
    async fn allowed(&self, ctx: &Ctx) -> Result<Vec<San>, Fault> {
        let mut allowed = self.sans.clone();
        if let Some(node) = &self.node {
            let kind = Kind { namespaced: false, ..Kind::core("nodes", "Node") };
            let found = self.api.find(ctx, &format!("get nodes/{node}"), &kind.object(None, node)).await?;
            let found = found.unwrap_or_default();
            let addresses = found.pointer("/status/addresses").and_then(Json::as_array).into_iter().flatten();
            allowed.extend(addresses.filter_map(|one| kubectl::text(one, "/address").parse().ok()));
        }
        Ok(allowed)
    }

    fn fits(&self, csr: &Csr, allowed: &[San]) -> Result<(), String> {
        let request = csr.request.as_ref().map_err(|why| format!("the request cannot be read: {why}"))?;
        if csr.username != self.username {
            return Err(format!("{} asks, not {}", csr.username, self.username));
        }
        self.subject_fits(request.subject())?;
        let node = self.node.as_ref();
        for san in request.sans() {
            let same = |one: &San| match (one, san) {
                (San::Dns(one), San::Dns(two)) => one.eq_ignore_ascii_case(two),
                (one, two) => one == two,
            };
            if !allowed.iter().any(same) {
                let whose = node.map_or_else(
                    || "one of `sans`".to_owned(),
                    |node| format!("an address of the node {node}"),
                );
                return Err(format!("it asks for {san}, which is not {whose}"));
            }
        }
        Ok(())
    }

    /// The subject is compared as a whole: nothing in a name can pass for an attribute of its own.
    fn subject_fits(&self, subject: &str) -> Result<(), String> {
        let Some(node) = &self.node else {
            let own = format!("CN={}", self.username);
            let one = subject.split(',').filter(|part| part.starts_with("CN=")).collect::<Vec<_>>()
                == [own.as_str()];
            return match one && !subject.contains("system:masters") && !subject.contains(['\\', '+', '#']) {
                true => Ok(()),
                false => Err(format!("its subject is {subject}, not {own} and what goes with it")),
            };
        };
        let (common, group) = (format!("CN=system:node:{node}"), "O=system:nodes");
        match [format!("{common},{group}"), format!("{group},{common}")].iter().any(|own| own == subject) {
            true => Ok(()),
            false => Err(format!("its subject is {subject}, not {common},{group}")),
        }
    }
}
