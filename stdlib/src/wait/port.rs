use crate::support::waiting;
use async_trait::async_trait;
use keybook_api::{
    Action, ActionSpec, Applied, ArgKind, ArgSpec, Args, Ctx, Effect, Fault, FaultKind, Plan, Reconcile,
    Returns, Value, WayBack, duration, returns::Key, value::map,
};
use std::time::Duration;

/// Waits for a TCP port.
pub struct Port;

const SPEC: ActionSpec = ActionSpec {
    name: "wait.port",
    summary: "Waits until a TCP port accepts connections, as seen from the host.",
    doc: "Connects once a second and closes the connection at once. That a port accepts says nothing about the service behind it: \
follow it with an action that asks, such as `tls.served` or `etcd.health`.\n\nErrors: the time is up (with the last refusal), the run \
was stopped.",
    effect: Effect::Run,
    args: &[
        ArgSpec::optional("host", ArgKind::Text, "127.0.0.1", "Address or name, as the host resolves it."),
        ArgSpec::required("port", ArgKind::Int, "The port."),
        ArgSpec::optional("timeout", ArgKind::Duration, "60s", "How long to try."),
    ],
    returns: Returns::map(&[Key::plain("host", "Where the port is."), Key::plain("port", "The port.")]),
    way_back: WayBack::Nothing,
    example: "wait.port:\n  port: 4001\n  timeout: 2m\n",
};

#[async_trait]
impl Action for Port {
    fn spec(&self) -> &'static ActionSpec {
        &SPEC
    }

    async fn describe(&self, _ctx: &Ctx, args: &Args) -> Result<Plan, Fault> {
        let (host, port, timeout) = read(args)?;
        Ok(Plan::will([format!(
            "wait up to {} until {host}:{port} accepts connections",
            duration::format(timeout)
        )]))
    }

    async fn apply(&self, ctx: &Ctx, args: &Args) -> Result<Applied, Fault> {
        let (host, port, timeout) = read(args)?;
        let doing = format!("wait for {host}:{port}");
        let target = &ctx.target;
        waiting::until(ctx, &doing, timeout, Duration::from_secs(1), || async move {
            match target.open(host, port, timeout.min(Duration::from_secs(5))).await {
                Ok(_) => Ok(Ok(())),
                Err(fault) if fault.kind == FaultKind::Stopped => Err(fault),
                Err(fault) => Ok(Err(fault.cause)),
            }
        })
        .await?;
        Ok(Applied::unchanged(map([("host", host.into()), ("port", Value::Int(port.into()))])))
    }

    async fn reconcile(&self, _ctx: &Ctx, _args: &Args, _memo: &Value) -> Result<Reconcile, Fault> {
        Ok(Reconcile::NotDone)
    }
}

fn read(args: &Args) -> Result<(&str, u16, Duration), Fault> {
    let timeout = args.opt_duration("timeout")?.unwrap_or(Duration::from_secs(60));
    Ok((args.opt_text("host")?.unwrap_or("127.0.0.1"), crate::tls::port(args)?, timeout))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Bench, args};

    #[tokio::test]
    async fn an_open_port_ends_the_wait_and_a_closed_one_fails() {
        let bench = Bench::new();
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let port = Value::Int(listener.local_addr().unwrap().port().into());
        let args = args([("port", port), ("timeout", "50ms".into())]);
        assert_eq!(bench.describe(&Port, &args).await.unwrap().lines.len(), 1);
        bench.apply(&Port, &args).await.unwrap();
        drop(listener);
        let fault = bench.apply(&Port, &args).await.unwrap_err();
        assert_eq!(fault.kind, FaultKind::TimedOut);
        assert!(fault.cause.contains("refused"), "{fault}");
    }

    #[tokio::test]
    async fn a_port_is_a_number_up_to_65535() {
        let bench = Bench::new();
        let fault = bench.describe(&Port, &args([("port", Value::Int(70000))])).await.unwrap_err();
        assert!(fault.cause.contains("70000"), "{fault}");
    }
}
