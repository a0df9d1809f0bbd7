//! The scripts themselves, for /bin/sh with GNU coreutils and findutils (busybox lacks what they need).
//! Their paths are positional arguments, taken to be inside `$KB_ROOT`.

pub(crate) const BARE: &str = include_str!("scripts/bare.sh");
pub(crate) const CHILD: &str = include_str!("scripts/child.sh");
pub(crate) const COPY: &str = include_str!("scripts/copy.sh");
pub(crate) const DISCARD: &str = include_str!("scripts/discard.sh");
pub(crate) const END: &str = include_str!("scripts/end.sh");
pub(crate) const ENVIRONMENT: &str = include_str!("scripts/environment.sh");
pub(crate) const FINISH: &str = include_str!("scripts/finish.sh");
pub(crate) const IDENTITY: &str = include_str!("scripts/identity.sh");
pub(crate) const LIST: &str = include_str!("scripts/list.sh");
pub(crate) const LOOK: &str = include_str!("scripts/look.sh");
pub(crate) const MAKE_DIR: &str = include_str!("scripts/make_dir.sh");
pub(crate) const PATH: &str = include_str!("scripts/path.sh");
pub(crate) const PRELUDE: &str = include_str!("scripts/prelude.sh");
pub(crate) const PREPARE: &str = include_str!("scripts/prepare.sh");
pub(crate) const READ: &str = include_str!("scripts/read.sh");
pub(crate) const RECEIPT: &str = include_str!("scripts/receipt.sh");
pub(crate) const REMOVE: &str = include_str!("scripts/remove.sh");
pub(crate) const RENAME: &str = include_str!("scripts/rename.sh");
pub(crate) const REPLACE: &str = include_str!("scripts/replace.sh");
pub(crate) const STAT: &str = include_str!("scripts/stat.sh");
pub(crate) const STATE: &str = include_str!("scripts/state.sh");
pub(crate) const TARGET: &str = include_str!("scripts/target.sh");
pub(crate) const TREE: &str = include_str!("scripts/tree.sh");
pub(crate) const WRAPPER: &str = include_str!("scripts/wrapper.sh");
pub(crate) const WRITE: &str = include_str!("scripts/write.sh");
