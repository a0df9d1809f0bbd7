//! Owners written as `uid:gid` or by name.

use keybook_api::{Args, Command, Ctx, Fault, Owner};

/// The owner that the argument `owner` asks for; `None` when it is absent.
///
/// Written `user:group` or `user` (with the user's own group); numbers are taken as they are, names are looked
/// up on the host by getent(1).
pub async fn wanted(ctx: &Ctx, args: &Args) -> Result<Option<Owner>, Fault> {
    let Some(text) = args.opt_text("owner")? else {
        return Ok(None);
    };
    let (user, group) = match text.split_once(':') {
        Some((user, group)) => (user, Some(group)),
        None => (text, None),
    };
    let (uid, own_group) = match user.parse() {
        Ok(uid) => (uid, None),
        Err(_) => {
            let (uid, gid) = account(ctx, "passwd", user).await?;
            (uid, gid)
        }
    };
    let gid = match (group, own_group) {
        (Some(group), _) => match group.parse() {
            Ok(gid) => gid,
            Err(_) => account(ctx, "group", group).await?.0,
        },
        (None, Some(gid)) => gid,
        (None, None) => {
            return Err(Fault::usage(
                "read the argument `owner`",
                format!("`{text}` has no group; write uid:gid, or a user by name"),
            ));
        }
    };
    Ok(Some(Owner { uid, gid }))
}

/// The id of a name in a getent database and, for users, their group.
async fn account(ctx: &Ctx, database: &str, name: &str) -> Result<(u32, Option<u32>), Fault> {
    let attempted = format!("look up `{name}` in {database}");
    let command = Command::argv(["getent", "--", database, name]).cancel(&ctx.cancel);
    let exit = ctx.target.exec(command, &|_, _| {}).await?;
    let line = exit.out();
    let mut fields = line.trim_end().split(':').skip(2);
    let id = fields.next().and_then(|id| id.parse().ok());
    match id {
        Some(id) if exit.ok() => Ok((id, fields.next().and_then(|gid| gid.parse().ok()))),
        _ => Err(Fault::failed(attempted, "the host knows no such name")
            .on(ctx.target.name())
            .hint("Write the owner in numbers: uid:gid.")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Bench, args};

    #[tokio::test]
    async fn owners_are_numbers_or_names() {
        let bench = Bench::new();
        let owner = async |text: &str| wanted(&bench.ctx(), &args([("owner", text.into())])).await;
        assert_eq!(owner("3:4").await.unwrap(), Some(Owner { uid: 3, gid: 4 }));
        assert_eq!(owner("root:7").await.unwrap(), Some(Owner { uid: 0, gid: 7 }));
        assert_eq!(owner("root").await.unwrap(), Some(Owner { uid: 0, gid: 0 }));
        assert!(owner("3").await.unwrap_err().cause.contains("has no group"));
        let fault = owner("nobody-by-this-name").await.unwrap_err();
        assert!(fault.cause.contains("no such name"), "{fault}");
    }
}
