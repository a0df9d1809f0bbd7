use super::{
    order::{Order, SHOWN},
    post,
};
use async_trait::async_trait;
use keybook_api::{
    Action, ActionSpec, Applied, ArgKind, ArgSpec, Args, Ctx, Effect, Fault, Plan, Reconcile, Returns, Value,
    WayBack, returns::Key, value::map,
};

/// Posts JSON to a URL.
pub struct Webhook;

const SPEC: ActionSpec = ActionSpec {
    name: "notify.webhook",
    summary: "Posts JSON to a URL, to tell people or programs about the run.",
    doc: "By HTTP ([RFC 9110](https://www.rfc-editor.org/rfc/rfc9110)) from the machine that runs Keybook, whatever the step's hosts are. An \
answer of 200 to 299 is a success. A redirect is not followed. After a failed connection, and an answer of 408, 425, 429 or 500 to 599, it is \
tried again, three times in all, within `timeout`; so a message may come twice. `HTTPS_PROXY`, `HTTP_PROXY`, `ALL_PROXY` and `NO_PROXY` are \
honoured, but not for this machine itself.\n\n\
A failure never fails a run: it becomes a note, and the result's `told` is false. For a step to fail by it, expect `result.told`. In a \
sandbox nothing is sent, and a note says what would be. After a crash it is sent again.\n\n\
The URL of a webhook is as good as a password, so it is a secret, also when it stands in the runbook: better make it a secret input. Neither \
it nor the text that is answered to it is told.\n\n\
What is noted: a URL that is not `http` or `https`, or has a user name in it; no connection; a server certificate that cannot be verified; \
no answer in time; another answer.",
    effect: Effect::Tells,
    args: &[
        ArgSpec::required("url", ArgKind::Secret, "Where to. Text is made a secret."),
        ArgSpec::optional(
            "headers",
            ArgKind::Map,
            "{}",
            "Header fields to add. A value is text, a secret, or a list of both that are joined, such as `[\"Bearer \", token]`.",
        ),
        ArgSpec::optional(
            "body",
            ArgKind::Map,
            "the run and the unit, and as `text` both in words",
            "What is sent, as JSON. Secrets in it are sent.",
        ),
        ArgSpec::optional("timeout", ArgKind::Duration, "10s", "How long all tries may take together."),
        ArgSpec::optional(
            "ca",
            ArgKind::Path,
            "what this machine trusts",
            "A PEM file on this machine with the CAs to verify the server by.",
        ),
    ],
    returns: Returns::map(&[
        Key::plain("told", "Whether it was told."),
        Key::plain("status", "Of the last answer; null without one. Only when `told` is true.").sometimes(),
        Key::plain("tries", "How many it took. Only when `told` is true.").sometimes(),
        Key::plain("why", "Why nobody was told. Only when `told` is false.").sometimes(),
    ]),
    way_back: WayBack::Nothing,
    example: "notify.webhook:\n  url: https://chat.example.com/hooks/rotation\n  body: { text: The etcd certificates are renewed }\n",
};

#[async_trait]
impl Action for Webhook {
    fn spec(&self) -> &'static ActionSpec {
        &SPEC
    }

    async fn describe(&self, ctx: &Ctx, args: &Args) -> Result<Plan, Fault> {
        // What is wrong with it is noted when it is sent, and stops nothing now.
        Ok(Plan::will([match Order::from_args(ctx, args) {
            Ok(order) => order.line(),
            Err(why) => format!("post nothing: {why}"),
        }]))
    }

    async fn apply(&self, ctx: &Ctx, args: &Args) -> Result<Applied, Fault> {
        let order = Order::from_args(ctx, args).map_err(|why| Fault::failed("post to a webhook", why))?;
        let sent = post::post(&order, &ctx.cancel).await?;
        match sent.why {
            Some(why) => {
                let tries =
                    if sent.tries == 1 { "one try".to_owned() } else { format!("{} tries", sent.tries) };
                Err(Fault::failed(format!("post to {SHOWN}"), format!("{why} ({tries})"))
                    .now("nobody was told"))
            }
            None => Ok(Applied::unchanged(map([
                ("told", true.into()),
                ("status", sent.status.map(|status| Value::Int(status.into())).into()),
                ("tries", Value::Int(sent.tries.into())),
            ]))),
        }
    }

    async fn reconcile(&self, _ctx: &Ctx, _args: &Args, _memo: &Value) -> Result<Reconcile, Fault> {
        Ok(Reconcile::NotDone)
    }
}
