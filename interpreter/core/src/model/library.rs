//! Step libraries: steps with inputs of their own, written once and used in several places.

use super::{Args, Input};
use indexmap::IndexMap;
use keybook_api::{Fault, Located, Map, Value};
use keybook_script::ScriptHost;

/// A library in the place where it is used. Its steps are the step's own.
#[derive(Clone, Debug)]
pub struct Library {
    /// Its name, where it is used.
    pub name: Located<String>,
    /// What it is given.
    pub with: Args,
    /// What it asks for.
    pub inputs: IndexMap<String, Input>,
}

impl Library {
    /// What `inputs` is inside: `with` in the scope around it, else the defaults.
    ///
    /// # Errors
    /// An expression that fails, or a value that does not fit its input.
    pub fn inputs(&self, script: &ScriptHost, scope: &Map) -> Result<Map, Fault> {
        let mut given = self.with.render(script, scope)?;
        let mut inputs = Map::new();
        for (name, input) in &self.inputs {
            let value = given.shift_remove(name).filter(|value| !matches!(value, Value::Null));
            let value = match value.or_else(|| input.default.clone()) {
                Some(value) => {
                    let value = input.check(value).map_err(|why| self.wrong(name, &why))?;
                    self.known_host(name, input, &value, scope)?;
                    value
                }
                None if input.optional => Value::Null,
                None => return Err(self.wrong(name, "it is null, and there is no default")),
            };
            inputs.insert(name.clone(), value);
        }
        Ok(inputs)
    }

    fn known_host(&self, name: &str, input: &Input, value: &Value, scope: &Map) -> Result<(), Fault> {
        let Some(Value::Map(hosts)) = scope.get("hosts") else { return Ok(()) };
        let Some((why, advice)) = input.unknown_host(value, hosts.keys().map(String::as_str)) else {
            return Ok(());
        };
        let fault = self.wrong(name, &why);
        Err(match advice {
            Some(advice) => fault.hint(advice),
            None => fault,
        })
    }

    fn wrong(&self, input: &str, why: &str) -> Fault {
        Fault::failed(format!("give the library `{}` its input `{input}`", self.name.value), why)
            .at(&self.name.span)
    }
}
