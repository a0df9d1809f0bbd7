//! Which hosts a runbook needs, and which of them a step takes.

use indexmap::IndexMap;
use keybook_api::Span;

/// What a runbook needs of one group.
#[derive(Clone, Debug)]
pub struct HostNeed {
    /// At least so many.
    pub min: usize,
    /// At most so many; no bound when absent.
    pub max: Option<usize>,
    /// Which hosts they are.
    pub help: String,
    /// Programs that must be there.
    pub tools: Vec<String>,
    /// Free space needed below /var/lib/keybook, in MiB; default 64.
    pub free_mib: u64,
    /// The runbook replaces these hosts, so that their identity may change.
    pub replaceable: bool,
    /// Where it stands.
    pub span: Span,
}

impl HostNeed {
    /// How many hosts it asks for, in words.
    pub fn counts(&self) -> String {
        match self.max {
            Some(max) if max == self.min => format!("exactly {max}"),
            Some(max) => format!("{} to {max}", self.min),
            None => format!("at least {}", self.min),
        }
    }
}

/// Hosts of a step: one or more picks, each host once, in the order found.
#[derive(Clone, Debug)]
pub struct HostChoice {
    /// The picks.
    pub picks: Vec<Pick>,
    /// Where it stands.
    pub span: Span,
}

/// `group`, `group[0]`, `group[1:]` or `group[:2]`.
#[derive(Clone, Debug, PartialEq)]
pub struct Pick {
    /// The group.
    pub group: String,
    /// From this place (counting from 0).
    pub from: usize,
    /// Up to but not including this place; the end when absent.
    pub to: Option<usize>,
}

impl Pick {
    /// Reads `master`, `master[0]`, `master[1:]`, `master[:2]` or `master[1:3]`.
    pub fn parse(text: &str) -> Result<Self, String> {
        let wrong = || format!("`{text}` is no host choice; write a group, group[0], group[1:] or group[:2]");
        let Some((group, rest)) = text.split_once('[') else {
            let fits =
                !text.is_empty() && text.chars().all(|c| c.is_ascii_alphanumeric() || c == '-' || c == '_');
            return if fits { Ok(Self { group: text.to_owned(), from: 0, to: None }) } else { Err(wrong()) };
        };
        let range = rest.strip_suffix(']').ok_or_else(wrong)?;
        let number = |part: &str| part.trim().parse::<usize>().map_err(|_| wrong());
        let (from, to) = match range.split_once(':') {
            None => {
                let at = number(range)?;
                (at, Some(at.saturating_add(1)))
            }
            Some((from, to)) => (
                if from.trim().is_empty() { 0 } else { number(from)? },
                if to.trim().is_empty() { None } else { Some(number(to)?) },
            ),
        };
        Ok(Self { from, to, ..Self::parse(group)? })
    }

    fn of<'h>(&self, hosts: &'h [String]) -> &'h [String] {
        let to = self.to.unwrap_or(hosts.len()).min(hosts.len());
        hosts.get(self.from..to).unwrap_or(&[])
    }
}

impl HostChoice {
    /// The hosts, each once. A pick that matches none is an error that names it.
    pub fn resolve(&self, groups: &IndexMap<String, Vec<String>>) -> Result<Vec<String>, String> {
        for pick in &self.picks {
            let hosts =
                groups.get(&pick.group).ok_or_else(|| format!("there is no group `{}`", pick.group))?;
            if pick.of(hosts).is_empty() {
                return Err(format!(
                    "no host of the group `{}` (it has {}) is chosen",
                    pick.group,
                    hosts.len()
                ));
            }
        }
        Ok(self.there(groups))
    }

    /// The hosts that there are now, each once; a pick may match none.
    pub fn there(&self, groups: &IndexMap<String, Vec<String>>) -> Vec<String> {
        let mut chosen: Vec<String> = Vec::new();
        for host in self.picks.iter().filter_map(|pick| Some(pick.of(groups.get(&pick.group)?))).flatten() {
            if !chosen.contains(host) {
                chosen.push(host.clone());
            }
        }
        chosen
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn choose(picks: &[&str]) -> Result<Vec<String>, String> {
        let hosts = |names: &[&str]| names.iter().map(|n| (*n).to_owned()).collect::<Vec<_>>();
        let groups = IndexMap::from([
            ("master".to_owned(), hosts(&["a", "b", "c"])),
            ("manager".to_owned(), hosts(&["a"])),
            ("none".to_owned(), Vec::new()),
        ]);
        let picks = picks.iter().map(|text| Pick::parse(text)).collect::<Result<_, _>>()?;
        HostChoice { picks, span: Span::new("f", 1, 1, 1) }.resolve(&groups)
    }

    #[test]
    fn a_host_in_two_groups_is_chosen_once() {
        assert_eq!(choose(&["master", "manager"]).unwrap(), ["a", "b", "c"]);
        assert_eq!(choose(&["master[1:]"]).unwrap(), ["b", "c"]);
        assert_eq!(choose(&["master[0]"]).unwrap(), ["a"]);
        assert_eq!(choose(&["master[:2]"]).unwrap(), ["a", "b"]);
    }

    #[test]
    fn an_empty_selection_is_an_error() {
        assert!(choose(&["none"]).unwrap_err().contains("no host of the group `none`"));
        assert!(choose(&["master[5]"]).is_err());
        assert!(choose(&["worker"]).unwrap_err().contains("no group `worker`"));
        let none = HostChoice { picks: vec![Pick::parse("none").unwrap()], span: Span::new("f", 1, 1, 1) };
        let groups = IndexMap::from([("none".to_owned(), Vec::new())]);
        assert_eq!(none.there(&groups), Vec::<String>::new());
        assert!(Pick::parse("master[x]").is_err());
        assert!(Pick::parse("mas ter").is_err());
    }
}
