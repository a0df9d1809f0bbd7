//! `file`: files on the host.

mod assert;
mod copy;
mod digest;
mod edit;
mod edit_json;
mod edit_yaml;
mod link;
mod make_dir;
mod r#move;
mod put;
mod read;
mod remove;
mod stat;
mod template;

pub use assert::Assert;
pub use copy::Copy;
pub use digest::Digest;
pub use edit_json::EditJson;
pub use edit_yaml::EditYaml;
pub use link::Link;
pub use make_dir::MakeDir;
pub use r#move::Move;
pub use put::Put;
pub use read::Read;
pub use remove::Remove;
pub use stat::Stat;
pub use template::Template;

use crate::support::change::{Became, became};
use keybook_api::{Ctx, Fault, Reconcile, Value};

/// Reconciles an action whose whole effect is one file, and whose result is that file's.
async fn reconcile_file(ctx: &Ctx, asked: &str, memo: &Value) -> Result<Reconcile, Fault> {
    Ok(match became(ctx, memo).await? {
        Became::Written(now) => Reconcile::Done(Value::Map(now.result(asked))),
        Became::Untouched => Reconcile::NotDone,
        Became::Other(why) => Reconcile::Unknown(why),
    })
}
