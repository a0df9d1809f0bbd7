//! What the runtime lists.

/// A running container of a pod.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Container {
    /// Its id.
    pub id: String,
    /// Its name in the pod; `POD` for the sandbox that holds the pod's network.
    pub name: String,
    /// The pod's name, which for a static pod is `<metadata.name>-<node>`.
    pub pod: String,
    /// The pod's namespace.
    pub namespace: String,
}

/// The containers of pods in a listing such as `docker ps --no-trunc` prints: the id first, the name last on
/// each line. Lines of other containers, and the heading, are left out.
///
/// The kubelet's names are `k8s_<container>_<pod>_<namespace>_<pod uid>_<attempt>`
/// (kubernetes/pkg/kubelet/dockershim/naming.go); none of the parts holds a `_`.
pub fn parse(listing: &str) -> Vec<Container> {
    listing.lines().filter_map(container).collect()
}

fn container(line: &str) -> Option<Container> {
    let mut words = line.split_whitespace();
    let id = words.next()?;
    let mut parts = words.next_back()?.split('_');
    let (Some("k8s"), Some(name), Some(pod), Some(namespace)) =
        (parts.next(), parts.next(), parts.next(), parts.next())
    else {
        return None;
    };
    let text = str::to_owned;
    Some(Container { id: text(id), name: text(name), pod: text(pod), namespace: text(namespace) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_listing_of_docker_is_read() {
        let listing = include_str!("../../fixtures/docker-ps.txt");
        let found = parse(listing);
        let names: Vec<(&str, &str)> =
            found.iter().map(|one| (one.name.as_str(), one.pod.as_str())).collect();
        assert_eq!(
            names,
            [
                ("tos-apiserver-tos", "tos-apiserver-tos-jiujiu-tdh-11"),
                ("POD", "tos-apiserver-tos-jiujiu-tdh-11")
            ]
        );
        assert_eq!((found[0].id.as_str(), found[0].namespace.as_str()), ("38ca327d181e", "kube-system"));
    }

    #[test]
    fn other_lines_are_left_out() {
        let listing = "CONTAINER ID  IMAGE  NAMES\nabc  nginx  web_1\nabc\n\nabc k8s_a_b\n";
        assert_eq!(parse(listing), []);
    }
}
