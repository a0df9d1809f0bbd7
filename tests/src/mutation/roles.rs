//! What the maps and lists of the language's files are for.

use super::FileKind;

/// What a value is for.
#[derive(Clone, Debug, PartialEq)]
pub enum Role {
    /// The whole file.
    Root(FileKind),
    /// A map whose keys the language fixes, by its name here.
    Strict(&'static str),
    /// A map whose keys are names that the author chose, and what each value is.
    Names(&'static str),
    /// A list, and what each item is.
    List(&'static str),
    /// The arguments of an action.
    Args(String),
    /// A map with one action as its key.
    Call,
    /// Anything else.
    Leaf,
}

impl Role {
    /// What the value of a key is for; `key` is empty for an item of a list.
    pub fn of(&self, key: &str) -> Self {
        use FileKind::{Answers, Library, Runbook, Scenario, Translation};
        match (self, key) {
            (Self::Root(Runbook | Library), "steps" | "finally") => Self::List("step"),
            (Self::Root(Runbook | Library), "inputs") => Self::Names("input"),
            (Self::Root(Runbook), "hosts") => Self::Names("group"),
            (Self::Root(Runbook), "requires") => Self::Strict("requires"),
            (Self::Root(Runbook), "trust") => Self::Strict("trust"),
            (Self::Root(Translation), "inputs" | "hosts") => Self::Names("text"),
            (Self::Root(Translation), "steps") => Self::Names("step text"),
            (Self::Root(Translation), "libraries") => Self::Names("step texts"),
            (Self::Root(Scenario), "hosts") => Self::Names("host"),
            (Self::Root(Scenario), "groups") => Self::Names("members"),
            (Self::Root(Scenario), "certificates") => Self::Names("certificate"),
            (Self::Root(Scenario), "files") => Self::List("file"),
            (Self::Root(Scenario), "daemons") => Self::List("daemon"),
            (Self::Root(Scenario), "commands") => Self::List("command"),
            (Self::Root(Scenario), "faults") => Self::List("fault"),
            (Self::Root(Answers), "answers") => Self::Names("answer"),
            (Self::Strict("trust"), "bundles") => Self::Names("bundle"),
            (Self::Strict("trust"), "servers") => Self::Names("server"),
            (Self::Strict("trust"), "clients") => Self::Names("client"),
            (Self::Strict("step"), "steps") => Self::List("step"),
            (Self::Strict("step"), "gate") => Self::Strict("gate"),
            (Self::Strict("step"), "retry") => Self::Strict("retry"),
            (Self::Strict("step"), "owes") => Self::Strict("owes"),
            (Self::Strict("step"), "facts") => Self::Names("fact"),
            (Self::Strict("step"), "undo") => Self::Call,
            (Self::Strict("step"), action) if action.contains('.') => Self::Args(action.to_owned()),
            (Self::Call, action) => Self::Args(action.to_owned()),
            (Self::Strict("certificate"), "valid") => Self::Strict("valid"),
            (Self::Names("fact"), _) => Self::Call,
            (Self::Names("step texts"), _) => Self::Names("step text"),
            (Self::Names("text" | "members"), _) => Self::Leaf,
            (Self::Names(inner) | Self::List(inner), _) => Self::Strict(inner),
            _ => Self::Leaf,
        }
    }
}

/// Keys that a map must have.
pub fn required(role: &Role) -> &'static [&'static str] {
    match role {
        Role::Root(FileKind::Runbook) => &["keybook", "name", "version", "title"],
        Role::Root(FileKind::Library) => &["keybook", "library"],
        Role::Root(FileKind::Translation) => &["keybook", "lang"],
        Role::Root(FileKind::Scenario) => &["keybook", "scenario", "cluster"],
        Role::Root(FileKind::Answers) => &["keybook"],
        Role::Strict("input") => &["type"],
        Role::Strict("gate") => &["ask"],
        Role::Strict("retry") => &["times"],
        Role::Strict("owes") => &["what"],
        Role::Strict("server") => &["on", "port", "cert"],
        Role::Strict("client") => &["on", "uses", "trusts"],
        Role::Strict("certificate") => &["subject"],
        Role::Strict("file") => &["hosts", "path"],
        Role::Strict("daemon") => &["hosts", "name", "while"],
        Role::Strict("command") => &["match", "answer"],
        Role::Strict("valid") => &["from", "to"],
        _ => &[],
    }
}

/// What the value of a key must be.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Wants {
    /// Text only.
    Text,
    /// A whole number.
    Int,
    /// true or false.
    Bool,
    /// A duration.
    Duration,
    /// A map.
    Map,
    /// An expression.
    Expr,
    /// One of some words.
    Word,
}

/// What the language wants as the value of a key, for those of one form only.
pub fn wants(role: &Role, key: &str) -> Option<Wants> {
    Some(match (role, key) {
        (Role::Root(_), "title" | "version" | "name" | "library" | "scenario" | "cluster" | "lang")
        | (Role::Names("text"), _)
        | (Role::Strict("step"), "title" | "why" | "phase" | "register" | "id" | "settles" | "use")
        | (Role::Strict("step text"), _)
        | (Role::Strict("input" | "group"), "help")
        | (Role::Strict("gate"), "ask")
        | (Role::Strict("owes"), _)
        | (Role::Strict("file"), "path" | "link" | "text" | "key")
        | (Role::Strict("certificate"), "issuer")
        | (Role::Strict("daemon"), "name" | "while" | "certificate" | "key" | "client_ca")
        | (Role::Strict("command"), "match" | "answer")
        | (Role::Strict("server" | "client"), "cert" | "key" | "clients" | "trusts")
        | (Role::Strict("host"), "address") => Wants::Text,
        (Role::Strict("group"), "min" | "max" | "exactly" | "free_mib")
        | (Role::Strict("retry"), "times")
        | (Role::Strict("daemon"), "port")
        | (Role::Strict("fault"), "nth")
        | (Role::Strict("step"), "batch" | "max_failures") => Wants::Int,
        (Role::Strict("step"), "atomic" | "secret")
        | (Role::Strict("input"), "optional")
        | (Role::Strict("group"), "replaceable")
        | (Role::Strict("certificate"), "ca")
        | (Role::Strict("file"), "directory") => Wants::Bool,
        (Role::Strict("step"), "timeout")
        | (Role::Strict("retry"), "delay")
        | (Role::Strict("daemon"), "start_delay")
        | (Role::Strict("command"), "takes") => Wants::Duration,
        (Role::Root(FileKind::Runbook), "requires" | "trust" | "inputs" | "hosts")
        | (Role::Root(FileKind::Scenario), "hosts" | "groups" | "certificates")
        | (Role::Root(FileKind::Answers), "answers")
        | (Role::Root(FileKind::Translation), "inputs" | "hosts" | "steps" | "libraries")
        | (Role::Strict("step"), "gate" | "retry" | "owes" | "facts" | "undo")
        | (Role::Strict("trust"), _)
        | (
            Role::Names("input" | "group" | "bundle" | "server" | "client" | "host" | "certificate" | "fact"),
            _,
        )
        | (Role::Strict("certificate"), "subject" | "valid") => Wants::Map,
        (Role::Strict("step"), "when" | "for_each" | "check" | "expect")
        | (Role::Strict("retry"), "until") => Wants::Expr,
        (Role::Strict("input"), "type")
        | (Role::Strict("step"), "order")
        | (Role::Names("answer"), _)
        | (Role::Strict("client" | "server"), "reads")
        | (Role::Strict("fault"), "kind")
        | (Role::Strict("file"), "form") => Wants::Word,
        _ => return None,
    })
}
