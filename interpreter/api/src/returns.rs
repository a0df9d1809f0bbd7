//! What the result of an action holds, so that a misspelt key is noticed before a run.

/// What an action returns.
#[derive(Clone, Copy, Debug)]
pub struct Returns {
    /// What the result holds.
    pub holds: Holds,
    /// The argument with which it is a list of such.
    pub list_with: Option<&'static str>,
}

/// What a value holds.
#[derive(Clone, Copy, Debug)]
pub enum Holds {
    /// One value without keys, such as text or a number, or a list of such.
    Plain,
    /// A map with these keys and no others.
    Map(Keys),
    /// A list of maps with these keys and no others.
    List(Keys),
    /// What nobody knows beforehand.
    Anything,
}

/// The keys of a map.
#[derive(Clone, Copy, Debug)]
pub struct Keys {
    /// Those that are described here.
    pub own: &'static [Key],
    /// Those that are described elsewhere in the reference, and the name under which.
    pub shared: Option<(&'static str, &'static [Key])>,
}

/// One key of a result.
#[derive(Clone, Copy, Debug)]
pub struct Key {
    /// Its name.
    pub name: &'static str,
    /// What it means.
    pub doc: &'static str,
    /// What stands there.
    pub holds: Holds,
    /// Is it there in every result?
    pub always: bool,
}

impl Returns {
    /// A result of which nothing is known beforehand.
    pub const ANYTHING: Self = Self { holds: Holds::Anything, list_with: None };

    /// A map with these keys.
    pub const fn map(own: &'static [Key]) -> Self {
        Self::keys(Keys::own(own))
    }

    /// A map with these keys, which may be described elsewhere.
    pub const fn keys(keys: Keys) -> Self {
        Self { holds: Holds::Map(keys), list_with: None }
    }

    /// The same, and a list of such when this argument is given.
    pub const fn listed_with(self, argument: &'static str) -> Self {
        Self { list_with: Some(argument), ..self }
    }

    /// What the result of a call holds in which these arguments are written.
    pub fn of_call(&self, written: impl Fn(&str) -> bool) -> Holds {
        match self.list_with {
            // Only the run knows what the argument comes to.
            Some(argument) if written(argument) => Holds::Anything,
            _ => self.holds,
        }
    }
}

impl Holds {
    /// The first key on a path that is not there: its place in the path, and the keys that are there instead. What lies in
    /// a list, in a plain value or in what nobody knows is not looked at.
    pub fn stray(self, path: &[String]) -> Option<(usize, Vec<&'static str>)> {
        let mut here = self;
        for (place, name) in path.iter().enumerate() {
            let Self::Map(keys) = here else { return None };
            match keys.iter().find(|key| key.name == name) {
                Some(key) => here = key.holds,
                None => return Some((place, keys.iter().map(|key| key.name).collect())),
            }
        }
        None
    }
}

impl Keys {
    /// Keys that are described here.
    pub const fn own(own: &'static [Key]) -> Self {
        Self { own, shared: None }
    }

    /// Keys that are described elsewhere in the reference, under this name.
    pub const fn of(name: &'static str, keys: &'static [Key]) -> Self {
        Self { own: &[], shared: Some((name, keys)) }
    }

    /// The same, and these.
    pub const fn and(self, own: &'static [Key]) -> Self {
        Self { own, ..self }
    }

    /// All of them.
    pub fn iter(&self) -> impl Iterator<Item = &'static Key> + use<> {
        self.shared.map_or(&[][..], |(_, keys)| keys).iter().chain(self.own)
    }
}

impl Key {
    /// One value without keys of its own, or a list of such.
    pub const fn plain(name: &'static str, doc: &'static str) -> Self {
        Self { name, doc, holds: Holds::Plain, always: true }
    }

    /// A map.
    pub const fn map(name: &'static str, doc: &'static str, keys: Keys) -> Self {
        Self { holds: Holds::Map(keys), ..Self::plain(name, doc) }
    }

    /// A list of maps.
    pub const fn list(name: &'static str, doc: &'static str, keys: Keys) -> Self {
        Self { holds: Holds::List(keys), ..Self::plain(name, doc) }
    }

    /// What nobody knows beforehand.
    pub const fn anything(name: &'static str, doc: &'static str) -> Self {
        Self { holds: Holds::Anything, ..Self::plain(name, doc) }
    }

    /// The same, in some results only.
    pub const fn sometimes(self) -> Self {
        Self { always: false, ..self }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LEAF: &[Key] = &[Key::plain("subject", "")];
    const SERVED: Returns = Returns::map(&[
        Key::map("leaf", "", Keys::of("chain", LEAF).and(&[Key::plain("endpoint", "")])),
        Key::list("chain", "", Keys::own(LEAF)),
        Key::anything("json", "").sometimes(),
    ])
    .listed_with("all");

    fn stray(path: &str) -> Option<(usize, Vec<&'static str>)> {
        let path: Vec<String> = path.split('.').map(str::to_owned).collect();
        SERVED.holds.stray(&path)
    }

    #[test]
    fn the_first_key_that_is_not_there_is_found() {
        assert_eq!(stray("leef.subject"), Some((0, vec!["leaf", "chain", "json"])));
        assert_eq!(stray("leaf.subjct"), Some((1, vec!["subject", "endpoint"])));
        for there in ["leaf", "leaf.subject", "leaf.endpoint", "leaf.subject.len", "chain.len", "json.a.b"] {
            assert_eq!(stray(there), None, "{there}");
        }
    }

    #[test]
    fn nothing_is_known_where_an_argument_makes_a_list_of_it() {
        assert!(matches!(SERVED.of_call(|argument| argument == "all"), Holds::Anything));
        assert!(matches!(SERVED.of_call(|_| false), Holds::Map(_)));
    }
}
