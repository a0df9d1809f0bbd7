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
        let given =
            |(name, input): (&String, &Input)| Ok((name.clone(), self.input(name, input, script, scope)?));
        self.inputs.iter().map(given).collect()
    }

    /// The same, as far as it can be had: an input that cannot says why to whoever reads it.
    pub fn inputs_to_be_had(&self, script: &ScriptHost, scope: &Map) -> Map {
        let given = |(name, input): (&String, &Input)| {
            let value = self.input(name, input, script, scope);
            (name.clone(), value.unwrap_or_else(|fault| Value::Unknown(fault.cause)))
        };
        self.inputs.iter().map(given).collect()
    }

    fn input(&self, name: &str, input: &Input, script: &ScriptHost, scope: &Map) -> Result<Value, Fault> {
        let given = self.with.0.get(name).map(|given| given.render(script, scope)).transpose()?;
        let given = given.filter(|value| !matches!(value, Value::Null));
        match given.or_else(|| input.default.clone()) {
            Some(value) => {
                let value = input.check(value).map_err(|why| self.wrong(name, &why))?;
                self.known_host(name, input, &value, scope)?;
                Ok(value)
            }
            None if input.optional => Ok(Value::Null),
            None => Err(self.wrong(name, "it is null, and there is no default")),
        }
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
