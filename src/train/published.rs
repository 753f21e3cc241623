//! Names of published files: which library's names a file has, and the rules that go with them.
//!
//! Comes in: a network, what the spec says about names, the file, and the network's parameters. Goes out: rules. What a spec says
//! itself counts more: with renamings of its own, the library's are not used.

use crate::model::{Model, Network, NetworkKind, Published};
use crate::parts::backbones::Scheme;
use crate::weights::{Pattern, Rule, Rules, TensorFile};

/// The rules for a network, and whose names the file has, where they are those of a library.
pub fn rules(
    model: &Model,
    network: &Network,
    own: &Rules,
    file: &TensorFile,
    parameters: &[String],
) -> (Rules, Option<&'static str>) {
    let names: Vec<&str> = file.tensors.keys().map(|name| name.strip_prefix("module.").unwrap_or(name)).collect();
    let found = match network.kind {
        _ if !own.rename.is_empty() => None,
        NetworkKind::Backbone => of_backbone(network, &names, parameters),
        NetworkKind::Head => of_head(model, network, &names, parameters),
    };
    let Some((scheme, rename, unused)) = found else { return (own.clone(), None) };
    // Rules of a library serve several files: what matches nothing in this one is no slip.
    let matches = |pattern: &str| names.iter().any(|name| Pattern::new(pattern).captures(name).is_some());
    let rename = rename.into_iter().filter(|(from, _)| matches(without_part(from)));
    let rename =
        rename.map(|(from, to)| Rule::parse(&format!("{from} -> {to}")).unwrap_or_else(|e| panic!("bug: {e}")));
    let unused = unused.into_iter().filter(|pattern| matches(pattern)).map(|pattern| Pattern::new(&pattern));
    let rules =
        Rules { rename: rename.collect(), unused: own.unused.iter().cloned().chain(unused).collect(), ..own.clone() };
    (rules, Some(scheme))
}

/// A library, its renamings, and what is not used.
type Found = (&'static str, Vec<(String, String)>, Vec<String>);

fn without_part(from: &str) -> &str {
    from.split_once('[').map_or(from, |(name, _)| name)
}

fn schemes(published: &Published) -> Vec<Scheme> {
    (published.backbone().schemes)(&published.call.args)
}

/// How many names of a file a scheme renames.
fn renamed(scheme: &Scheme, names: &[&str]) -> usize {
    let patterns: Vec<Pattern> = scheme.rules.iter().map(|(from, _)| Pattern::new(without_part(from))).collect();
    names.iter().filter(|name| patterns.iter().any(|pattern| pattern.captures(name).is_some())).count()
}

/// The scheme that knows most names, unless as many are paths of the network already.
fn of_backbone(network: &Network, names: &[&str], parameters: &[String]) -> Option<Found> {
    let [published] = &network.published[..] else { return None };
    let own = format!("{}.", network.name);
    let is_path = |name: &&&str| parameters.iter().any(|path| path == **name || path.strip_prefix(&own) == Some(name));
    let paths = names.iter().filter(is_path).count();
    let counted = schemes(published).into_iter().map(|scheme| (renamed(&scheme, names), scheme));
    // Of several that know as many, the first.
    let (_, scheme) = counted.rev().max_by_key(|(count, _)| *count).filter(|(count, _)| *count > paths)?;
    let prefix = published.path.strip_prefix(&own).map_or(String::new(), |inside| format!("{inside}."));
    let rules = scheme.rules.into_iter().map(|(from, to)| (from, format!("{prefix}{to}"))).collect();
    Some((scheme.name, rules, scheme.unused))
}

/// The classes of a published file, for a head of one linear layer on the backbone that the file is of.
fn of_head(model: &Model, head: &Network, names: &[&str], parameters: &[String]) -> Option<Found> {
    let [source] = &head.sources[..] else { return None };
    let [published] = &model.networks.iter().find(|n| n.name == source.path)?.published[..] else { return None };
    let own = format!("{}.", head.name);
    let layers: Vec<&str> = parameters
        .iter()
        .filter_map(|path| Some(path.strip_prefix(&own)?.rsplit_once('.').map_or("", |(layer, _)| layer)))
        .collect();
    let layer = layers.first().filter(|first| layers.iter().all(|layer| layer == *first))?;
    let scheme = schemes(published).into_iter().rev().max_by_key(|scheme| renamed(scheme, names))?;
    let classes = scheme.classes.filter(|classes| names.iter().any(|n| Pattern::new(classes).captures(n).is_some()))?;
    let to = if layer.is_empty() { "*".to_string() } else { format!("{layer}.*") };
    Some((scheme.name, vec![(classes.to_string(), to)], vec!["*".into()]))
}
