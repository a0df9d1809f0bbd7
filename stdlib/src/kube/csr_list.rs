use super::{
    ACCEPT_EXPIRED, CONTEXT, KUBECONFIG, SERVER,
    api::Api,
    csr::{Csr, kind},
    list::{Select, list},
};
use crate::support::tell;
use async_trait::async_trait;
use keybook_api::{
    Action, ActionSpec, Applied, ArgKind, ArgSpec, Args, Ctx, Effect, Fault, Plan, Returns, Value, WayBack,
    returns::{Key, Keys},
    value::map,
};

/// Reads certificate signing requests.
pub struct CsrList;

const ITEM: &[Key] = &[
    Key::plain("name", "The object's name."),
    Key::plain("signer", "Who shall sign, such as `kubernetes.io/kubelet-serving`."),
    Key::plain("username", "Who asks, such as `system:node:cp1`."),
    Key::plain("usages", "What the certificate shall be good for."),
    Key::plain("subject", "The subject of the request; null when it cannot be read."),
    Key::plain("sans", "The alternative names of the request."),
    Key::plain("condition", "`Pending`, `Approved`, `Denied` or `Failed`."),
    Key::plain("issued", "Whether the certificate is there."),
    Key::plain("error", "Why the request cannot be read; null otherwise."),
];

const SPEC: ActionSpec = ActionSpec {
    name: "kube.csr_list",
    summary: "Reads the certificate signing requests of the API server.",
    doc: "With what is in the requests themselves. By certificates.k8s.io/v1, or v1beta1 where the server has no other. A request that \
cannot be read is listed with the reason.\n\n\
Errors: those of `kube.list` \
([certificate signing requests](https://kubernetes.io/docs/reference/access-authn-authz/certificate-signing-requests/)).",
    effect: Effect::Reads,
    args: &[
        ArgSpec::optional("signer", ArgKind::Text, "", "Only those for this signer."),
        ArgSpec::optional("pending", ArgKind::Bool, "false", "Only those that nobody has decided on."),
        KUBECONFIG,
        CONTEXT,
        SERVER,
        ACCEPT_EXPIRED,
    ],
    returns: Returns::map(&[
        Key::list("items", "The requests.", Keys::own(ITEM)),
        Key::plain("total", "How many they are."),
    ]),
    way_back: WayBack::Nothing,
    example: "kube.csr_list:\n  signer: kubernetes.io/kubelet-serving\n  pending: true\n",
};

#[async_trait]
impl Action for CsrList {
    fn spec(&self) -> &'static ActionSpec {
        &SPEC
    }

    async fn describe(&self, _ctx: &Ctx, _args: &Args) -> Result<Plan, Fault> {
        Ok(tell::reads("list certificate signing requests"))
    }

    async fn apply(&self, ctx: &Ctx, args: &Args) -> Result<Applied, Fault> {
        let (signer, pending) = (args.opt_text("signer")?, args.bool_or("pending", false)?);
        let api = Api::from_args(ctx, args).await?;
        let kind = kind(ctx, &api).await?;
        let (objects, _) = list(ctx, &api, &kind, None, &Select::default()).await?;
        let all = objects.iter().map(Csr::read);
        let wanted = all.filter(|csr| signer.is_none_or(|signer| csr.signer == signer));
        let wanted = wanted.filter(|csr| !pending || csr.condition == "Pending");
        let items: Vec<Value> = wanted.map(|csr| item(&csr)).collect();
        let total = Value::Int(items.len() as i64);
        Ok(Applied::unchanged(map([("items", Value::List(items)), ("total", total)])))
    }
}

fn item(csr: &Csr) -> Value {
    Value::Map(map([
        ("name", csr.name.as_str().into()),
        ("signer", csr.signer.as_str().into()),
        ("username", csr.username.as_str().into()),
        ("usages", csr.usages.clone().into()),
        ("subject", csr.request.as_ref().ok().map(|request| request.subject()).into()),
        ("sans", csr.sans().into()),
        ("condition", csr.condition.into()),
        ("issued", csr.issued.into()),
        ("error", csr.request.as_ref().err().cloned().into()),
    ]))
}
