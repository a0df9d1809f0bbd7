use async_trait::async_trait;
use keybook_api::{
    Action, ActionSpec, Applied, ArgKind, ArgSpec, Args, Ctx, Effect, Fault, HostSpec, Plan, Reconcile,
    Returns, Value, WayBack, returns::Key, value::map,
};
use std::sync::Arc;

/// Adds a host to the run.
pub struct Add;

const SPEC: ActionSpec = ActionSpec {
    name: "host.add",
    summary: "Adds a host, found while running, to a group of the run.",
    doc: "The steps that follow can name the group in `hosts`. The host is reached only when a step uses it. `key` is a file on the \
machine that runs Keybook.\n\nErrors: `via` names no host of the run, a port outside 1 to 65535, a name that is not plain.",
    effect: Effect::Run,
    args: &[
        ArgSpec::required("group", ArgKind::Text, "The group, as the runbook's `hosts` names it."),
        ArgSpec::required("address", ArgKind::Text, "Address or DNS name."),
        ArgSpec::optional("name", ArgKind::Text, "the address", "Its name in this run."),
        ArgSpec::optional("via", ArgKind::Text, "", "The host to jump through, by its name in this run."),
        ArgSpec::optional("user", ArgKind::Text, "as ~/.ssh/config says", "Login."),
        ArgSpec::optional("key", ArgKind::Text, "the agent's keys", "A private key file on this machine."),
        ArgSpec::optional("port", ArgKind::Int, "22", "SSH port."),
        ArgSpec::optional("sudo", ArgKind::Bool, "false", "Run everything through `sudo -n`."),
        ArgSpec::optional(
            "replaceable",
            ArgKind::Bool,
            "false",
            "The runbook may replace this host, so that another host key is no drift.",
        ),
    ],
    returns: Returns::map(&[
        Key::plain("group", "The group."),
        Key::plain("name", "Its name in this run."),
        Key::plain("address", "Its address."),
    ]),
    way_back: WayBack::Nothing,
    example: "host.add:\n  group: nodes\n  address: 10.244.0.17\n  via: supervisor\n  user: vmware-system-user\n  replaceable: true\n",
};

#[async_trait]
impl Action for Add {
    fn spec(&self) -> &'static ActionSpec {
        &SPEC
    }

    fn adds_hosts_to(&self) -> Option<&'static str> {
        Some("group")
    }

    async fn describe(&self, ctx: &Ctx, args: &Args) -> Result<Plan, Fault> {
        let host = host(ctx, args)?;
        let via = host.via.as_ref().map_or_else(String::new, |via| format!(" through {}", via.name));
        Ok(Plan::will([format!(
            "add {} ({}{via}) to the group {}",
            host.name,
            host.address,
            args.text("group")?
        )]))
    }

    async fn apply(&self, ctx: &Ctx, args: &Args) -> Result<Applied, Fault> {
        let (host, group) = (host(ctx, args)?, args.text("group")?);
        let value = Value::Map(map([
            ("group", group.into()),
            ("name", host.name.as_str().into()),
            ("address", host.address.as_str().into()),
        ]));
        Ok(Applied { value, changed: false, add_hosts: vec![(group.to_owned(), host)] })
    }

    async fn reconcile(&self, _ctx: &Ctx, _args: &Args, _memo: &Value) -> Result<Reconcile, Fault> {
        Ok(Reconcile::NotDone)
    }
}

fn host(ctx: &Ctx, args: &Args) -> Result<HostSpec, Fault> {
    let address = plain(args, "address")?.unwrap_or_default();
    let name = plain(args, "name")?.unwrap_or(address);
    let via = match args.opt_text("via")? {
        None => None,
        Some(via) => Some(Arc::new(ctx.hosts.spec(via).ok_or_else(|| {
            Fault::usage("read the argument `via`", format!("the run has no host `{}`", via.escape_debug()))
        })?)),
    };
    let port = if args.get("port").is_some() { Some(crate::tls::port(args)?) } else { None };
    Ok(HostSpec {
        address: address.to_owned(),
        port,
        user: args.opt_text("user")?.map(str::to_owned),
        key: args.opt_text("key")?.map(Into::into),
        via,
        sudo: args.bool_or("sudo", false)?,
        replaceable: args.bool_or("replaceable", false)?,
        ..HostSpec::named(name)
    })
}

/// A name or address: what unit ids (`step@host#item`) and connections can hold.
fn plain<'a>(args: &'a Args, key: &str) -> Result<Option<&'a str>, Fault> {
    match args.opt_text(key)? {
        Some(text)
            if text.is_empty() || !text.chars().all(|c| c.is_ascii_alphanumeric() || "-_.:".contains(c)) =>
        {
            Err(Fault::usage(
                format!("read the argument `{key}`"),
                format!("`{}` is no name or address", text.escape_debug()),
            ))
        }
        other => Ok(other),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Bench, args};

    #[tokio::test]
    async fn a_host_is_added_with_its_settings() {
        let bench = Bench::new().with_host("jump");
        let args = args([
            ("group", "nodes".into()),
            ("address", "10.0.0.9".into()),
            ("via", "jump".into()),
            ("user", "ops".into()),
            ("key", "/home/ops/key".into()),
            ("port", Value::Int(2222)),
            ("sudo", true.into()),
            ("replaceable", true.into()),
        ]);
        let plan = bench.describe(&Add, &args).await.unwrap();
        assert_eq!(plan.lines, ["add 10.0.0.9 (10.0.0.9 through jump) to the group nodes"]);
        let applied = bench.apply(&Add, &args).await.unwrap();
        let (group, host) = &applied.add_hosts[0];
        assert_eq!((group.as_str(), host.name.as_str(), host.port), ("nodes", "10.0.0.9", Some(2222)));
        assert_eq!((host.user.as_deref(), host.sudo, host.replaceable), (Some("ops"), true, true));
        assert_eq!(host.via.as_ref().unwrap().name, "jump");
        assert_eq!(Add.reconcile(&bench.ctx(), &args, &Value::Null).await.unwrap(), Reconcile::NotDone);
    }

    #[tokio::test]
    async fn wrong_settings_are_refused() {
        let bench = Bench::new();
        for (key, value, message) in [
            ("via", "nowhere".into(), "the run has no host `nowhere`"),
            ("port", Value::Int(0), "0 is no port"),
            ("name", "a@b".into(), "no name or address"),
            ("name", "".into(), "no name or address"),
        ] {
            let args = args([("group", "g".into()), ("address", "h".into()), (key, value)]);
            let fault = bench.describe(&Add, &args).await.unwrap_err();
            assert!(fault.cause.contains(message), "{fault}");
        }
    }
}
