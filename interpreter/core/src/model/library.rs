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
                Some(value) => input.check(value).map_err(|why| self.wrong(name, &why))?,
                None if input.optional => Value::Null,
                None => return Err(self.wrong(name, "it is null, and there is no default")),
            };
            inputs.insert(name.clone(), value);
        }
        Ok(inputs)
    }

    fn wrong(&self, input: &str, why: &str) -> Fault {
        Fault::failed(format!("give the library `{}` its input `{input}`", self.name.value), why)
            .at(&self.name.span)
    }
}
