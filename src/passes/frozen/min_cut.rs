//! The cheapest cut between a source and a sink of a network with capacities.
//!
//! Edges go in with whole capacities; out comes which nodes stay on the side of the source. Of several cheapest cuts it is the one
//! with the fewest nodes there. Flow is sent along shortest paths (Dinic 1970), so the work is bounded by the size of the network
//! whatever the capacities are.

use std::collections::VecDeque;

/// A capacity that no cut goes through.
pub const NEVER: u64 = u64::MAX / 4;

struct Edge {
    to: usize,
    /// What can still pass.
    left: u64,
}

/// A network of numbered nodes.
pub struct Network {
    /// Each edge stands before its reverse.
    edges: Vec<Edge>,
    leaving: Vec<Vec<usize>>,
}

impl Network {
    pub fn new(nodes: usize) -> Self {
        Self { edges: vec![], leaving: vec![vec![]; nodes] }
    }

    pub fn edge(&mut self, from: usize, to: usize, capacity: u64) {
        self.leaving[from].push(self.edges.len());
        self.edges.push(Edge { to, left: capacity.min(NEVER) });
        self.leaving[to].push(self.edges.len());
        self.edges.push(Edge { to: from, left: 0 });
    }

    /// Which nodes are on the source's side of the cheapest cut.
    pub fn cut(mut self, source: usize, sink: usize) -> Vec<bool> {
        loop {
            let distance = self.distances(source);
            if distance[sink].is_none() {
                return distance.iter().map(Option::is_some).collect();
            }
            // For each node, the next of its edges that may still lead to the sink.
            let mut next = vec![0; self.leaving.len()];
            while self.send(source, sink, &distance, &mut next) {}
        }
    }

    /// How many edges with something left lie between the source and each node; none where it cannot be reached.
    fn distances(&self, source: usize) -> Vec<Option<usize>> {
        let mut distance = vec![None; self.leaving.len()];
        distance[source] = Some(0);
        let mut queue = VecDeque::from([(source, 0)]);
        while let Some((node, steps)) = queue.pop_front() {
            for &e in &self.leaving[node] {
                let Edge { to, left } = self.edges[e];
                if left > 0 && distance[to].is_none() {
                    distance[to] = Some(steps + 1);
                    queue.push_back((to, steps + 1));
                }
            }
        }
        distance
    }

    /// Sends what fits along one shortest path; false when there is none left. The path is kept here and not on the stack, since
    /// graphs may be thousands of values deep.
    fn send(&mut self, source: usize, sink: usize, distance: &[Option<usize>], next: &mut [usize]) -> bool {
        let mut path: Vec<usize> = vec![];
        let mut node = source;
        while node != sink {
            let further = |e: &usize| {
                let Edge { to, left } = self.edges[*e];
                left > 0 && distance[to] == distance[node].map(|d| d + 1)
            };
            let untried = &self.leaving[node][next[node]..];
            match untried.iter().position(further) {
                Some(skipped) => {
                    next[node] += skipped;
                    path.push(self.leaving[node][next[node]]);
                    node = self.edges[path[path.len() - 1]].to;
                }
                None => {
                    next[node] = self.leaving[node].len();
                    let Some(back) = path.pop() else { return false };
                    node = self.edges[back ^ 1].to;
                    next[node] += 1;
                }
            }
        }
        let most = path.iter().map(|&e| self.edges[e].left).min().unwrap_or(0);
        for e in path {
            self.edges[e].left -= most;
            self.edges[e ^ 1].left = self.edges[e ^ 1].left.saturating_add(most);
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::Network;

    /// Small networks against every cut there is.
    #[test]
    fn the_cut_is_the_cheapest() {
        let mut state = 7u64;
        let mut random = |below: u64| {
            state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
            (state >> 33) % below
        };
        for _ in 0..200 {
            let nodes = 2 + random(6) as usize;
            let edges: Vec<(usize, usize, u64)> = (0..random(16))
                .map(|_| (random(nodes as u64) as usize, random(nodes as u64) as usize, random(9)))
                .collect();
            let mut network = Network::new(nodes);
            edges.iter().filter(|(a, b, _)| a != b).for_each(|&(a, b, c)| network.edge(a, b, c));
            let cost = |side: &dyn Fn(usize) -> bool| -> u64 {
                edges.iter().filter(|(a, b, _)| side(*a) && !side(*b)).map(|(.., c)| c).sum()
            };
            let found = network.cut(0, 1);
            assert!(found[0] && !found[1]);
            let all = (0..1u32 << nodes).filter(|set| set & 1 == 1 && set & 2 == 0);
            let least = all.clone().map(|set| cost(&|n| set >> n & 1 == 1)).min();
            assert_eq!(Some(cost(&|n| found[n])), least, "{edges:?}");
            let fewest = all.filter(|set| Some(cost(&|n| set >> n & 1 == 1)) == least).map(u32::count_ones).min();
            assert_eq!(Some(found.iter().filter(|s| **s).count() as u32), fewest, "{edges:?}");
        }
    }
}
