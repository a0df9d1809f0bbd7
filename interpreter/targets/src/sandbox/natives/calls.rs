//! Files, daemons, kept values, words.

use crate::sandbox::daemons::{self, Record};
use crate::sandbox::folder;
use crate::sandbox::paths;
use crate::sandbox::scenario::DaemonSpec;
use crate::sandbox::world::Sandbox;
use keybook_api::{Map, Value, value::map};
use std::fs;
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::sync::Arc;

/// More than a text in an answer can be.
const LARGEST: u64 = 4 << 20;
const VALUES: &str = "values.json";

/// On whose behalf a function is called.
pub(super) struct Call {
    pub sandbox: Arc<Sandbox>,
    pub host: String,
}

impl Call {
    /// The same on another host.
    pub fn on(&self, host: &Value) -> Result<Self, String> {
        let name = text(host)?;
        if !self.sandbox.scenario().hosts.contains_key(name) {
            return Err(format!("the sandbox has no host `{name}`"));
        }
        Ok(Self { sandbox: self.sandbox.clone(), host: name.to_owned() })
    }

    fn place(&self, path: &str) -> Result<PathBuf, String> {
        paths::real(&self.sandbox.host(&self.host).root, path).map_err(said)
    }

    /// A daemon's record after a fresh look.
    pub fn record(&self, name: &str) -> Result<(&DaemonSpec, Record), String> {
        let spec = self.sandbox.scenario().daemons_of(&self.host).find(|daemon| daemon.name == name);
        let spec = spec.ok_or_else(|| format!("the host {} has no daemon `{name}`", self.host))?;
        let mut records = self.sandbox.settle(&self.host).map_err(said)?;
        Ok((spec, records.swap_remove(name).unwrap_or_default()))
    }
}

pub(super) fn said(error: io::Error) -> String {
    error.to_string()
}

pub(super) fn text(value: &Value) -> Result<&str, String> {
    value.as_str().ok_or_else(|| format!("expected a string, got {}", value.type_name()))
}

/// The argument at a place, as text.
pub(super) fn arg(args: &[Value], at: usize) -> Result<&str, String> {
    text(args.get(at).unwrap_or(&Value::Null))
}

pub(super) fn file_exists(call: &Call, args: &[Value]) -> Result<Value, String> {
    Ok(call.place(arg(args, 0)?)?.exists().into())
}

pub(super) fn file_read(call: &Call, args: &[Value]) -> Result<Value, String> {
    let path = arg(args, 0)?;
    let place = call.place(path)?;
    let size = fs::metadata(&place).map_err(|error| format!("{path}: {error}"))?.len();
    if size > LARGEST {
        return Err(format!("{path}: it has {size} bytes, more than {LARGEST}"));
    }
    let bytes = fs::read(&place).map_err(|error| format!("{path}: {error}"))?;
    Ok(String::from_utf8_lossy(&bytes).into_owned().into())
}

pub(super) fn file_write(call: &Call, args: &[Value]) -> Result<Value, String> {
    let (path, content) = (arg(args, 0)?, arg(args, 1)?);
    let place = call.place(path)?;
    let mode = fs::metadata(&place).map_or(0o644, |meta| meta.permissions().mode() & 0o7777);
    folder::replace(&place, content.as_bytes(), mode).map_err(|error| format!("{path}: {error}"))?;
    Ok(Value::Null)
}

pub(super) fn file_remove(call: &Call, args: &[Value]) -> Result<Value, String> {
    let path = arg(args, 0)?;
    // The link itself is removed, so only the directory above is followed.
    let (above, name) =
        path.rsplit_once('/').filter(|(_, name)| !name.is_empty()).ok_or("it is not a file's path")?;
    let place = call.place(if above.is_empty() { "/" } else { above })?.join(name);
    match fs::remove_file(place) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(format!("{path}: {error}")),
        _ => Ok(Value::Null),
    }
}

pub(super) fn file_list(call: &Call, args: &[Value]) -> Result<Value, String> {
    let path = arg(args, 0)?;
    let entries = fs::read_dir(call.place(path)?).map_err(|error| format!("{path}: {error}"))?;
    let names = entries.map(|entry| Ok(entry.map_err(said)?.file_name().to_string_lossy().into_owned()));
    let mut names = names.collect::<Result<Vec<String>, String>>()?;
    names.sort();
    Ok(names.into())
}

pub(super) fn daemon(call: &Call, args: &[Value]) -> Result<Value, String> {
    let (spec, record) = call.record(arg(args, 0)?)?;
    describe(call, spec, &record)
}

pub(super) fn daemons(call: &Call, _args: &[Value]) -> Result<Value, String> {
    let records = call.sandbox.settle(&call.host).map_err(said)?;
    let all = call.sandbox.scenario().daemons_of(&call.host);
    let all = all.map(|spec| describe(call, spec, &records.get(&spec.name).cloned().unwrap_or_default()));
    all.collect::<Result<Vec<_>, _>>().map(Value::List)
}

fn describe(call: &Call, spec: &DaemonSpec, record: &Record) -> Result<Value, String> {
    let now = jiff::Timestamp::now().as_millisecond();
    let mut loaded = Map::new();
    for what in spec.reads.keys().filter(|what| *what != "key") {
        let bytes =
            daemons::loaded(&call.sandbox.host(&call.host), &spec.name, record, what).map_err(said)?;
        if let Some(bytes) = bytes {
            loaded.insert(what.clone(), String::from_utf8_lossy(bytes.expose()).into_owned().into());
        }
    }
    Ok(Value::Map(map([
        ("host", call.host.as_str().into()),
        ("name", spec.name.as_str().into()),
        ("running", record.running.into()),
        ("id", record.id.as_str().into()),
        ("starts", i64::try_from(record.starts).unwrap_or(i64::MAX).into()),
        ("age", (now.saturating_sub(record.started).max(0) / 1000).into()),
        ("port", spec.port.map(i64::from).into()),
        ("error", record.error.clone().into()),
        ("loaded", Value::Map(loaded)),
    ])))
}

pub(super) fn state_get(call: &Call, args: &[Value]) -> Result<Value, String> {
    let values: serde_json::Map<String, serde_json::Value> =
        call.sandbox.host(&call.host).load(VALUES).map_err(said)?;
    Ok(values.get(arg(args, 0)?).map_or(Value::Null, Value::from_json))
}

pub(super) fn state_set(call: &Call, args: &[Value]) -> Result<Value, String> {
    let value = args.get(1).unwrap_or(&Value::Null);
    if value.has_secret() {
        return Err("a secret cannot be kept".to_owned());
    }
    let host = call.sandbox.host(&call.host);
    let mut values: serde_json::Map<String, serde_json::Value> = host.load(VALUES).map_err(said)?;
    values.insert(arg(args, 0)?.to_owned(), value.to_json());
    host.save(VALUES, &values).map_err(said)?;
    Ok(Value::Null)
}

pub(super) fn option(_call: &Call, args: &[Value]) -> Result<Value, String> {
    let name = arg(args, 1)?;
    let words = args.first().and_then(Value::as_list).ok_or("expected a list of words")?;
    let mut words = words.iter().filter_map(Value::as_str);
    while let Some(word) = words.next() {
        if word == name {
            return Ok(words.next().map(str::to_owned).into());
        }
        if let Some(value) = word.strip_prefix(name).and_then(|rest| rest.strip_prefix('=')) {
            return Ok(value.into());
        }
    }
    Ok(Value::Null)
}
