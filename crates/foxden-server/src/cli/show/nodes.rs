//! Shows storage nodes: as a table where there is room for one, else as a few short lines each.

use std::fmt::Write as _;

use super::counted;
use crate::control::command::NodeState;
use crate::control::response::Node;
use crate::terminal::{self, Style, styled};

/// Characters of the bar of a load.
const BAR: usize = 10;
const HEADS: [&str; 9] = [
    "node", "state", "load", "users", "Sync 1.1", "to empty", "capacity", "weight", "back-off",
];
/// The first column whose cells are numbers, and the last.
const NUMBERS: std::ops::RangeInclusive<usize> = 3..=7;

/// Shows the nodes.
pub fn show(nodes: &[Node]) {
    if nodes.is_empty() {
        terminal::print_line(
            "No node is known yet: the server that makes accounts writes them down when it starts, or add one with foxden \
             node add.",
        );
        return;
    }
    let mut nodes: Vec<&Node> = nodes.iter().collect();
    nodes.sort_by_cached_key(|node| in_order(&node.url));
    let table = Table::new(&nodes);
    if terminal::stdout_width().is_none_or(|width| table.width() <= width) {
        table.show();
    } else {
        nodes.into_iter().for_each(show_lines);
    }
}

/// What sorts addresses as people count: node2 comes before node10. Each part is a text and the number behind it.
fn in_order(url: &str) -> Vec<(&str, u64)> {
    let mut parts = Vec::new();
    let mut rest = url;
    while !rest.is_empty() {
        let text = rest.trim_start_matches(|letter: char| !letter.is_ascii_digit());
        let after = text.trim_start_matches(|letter: char| letter.is_ascii_digit());
        let (name, digits) = (
            &rest[..rest.len() - text.len()],
            &text[..text.len() - after.len()],
        );
        parts.push((name, digits.parse().unwrap_or(0)));
        rest = after;
    }
    parts
}

/// The cells of a table, and what its colours go by.
struct Table<'a> {
    rows: Vec<(&'a Node, [String; 9])>,
    widths: [usize; 9],
}

impl<'a> Table<'a> {
    fn new(nodes: &[&'a Node]) -> Self {
        let rows: Vec<_> = nodes.iter().map(|&node| (node, cells(node))).collect();
        let widths = std::array::from_fn(|at| {
            let cells = rows.iter().map(|(_, cells)| cells[at].chars().count());
            cells.chain([HEADS[at].len()]).max().unwrap_or(0)
        });
        Self { rows, widths }
    }

    fn width(&self) -> usize {
        self.widths.iter().sum::<usize>() + 2 * (HEADS.len() - 1)
    }

    fn show(&self) {
        let heads = self.line(&HEADS.map(str::to_owned), |_, text| text);
        terminal::print_line(styled(heads, Style::Dim));
        for (node, cells) in &self.rows {
            terminal::print_line(self.line(cells, |at, text| {
                let style = match at {
                    0 => Style::Bold,
                    1 => state(node).1,
                    2 => load_style(node),
                    8 if node.backoff_seconds > 0 => Style::Warning,
                    _ => return text,
                };
                styled(text, style).to_string()
            }));
        }
    }

    /// One line; `style` is given each column's number and its text, which has its width already.
    fn line(&self, cells: &[String; 9], style: impl Fn(usize, String) -> String) -> String {
        let mut line = String::new();
        for (at, cell) in cells.iter().enumerate() {
            let (gap, width) = (if at == 0 { "" } else { "  " }, self.widths[at]);
            let text = match at {
                _ if NUMBERS.contains(&at) => format!("{cell:>width$}"),
                8 => cell.clone(),
                _ => format!("{cell:width$}"),
            };
            // Writing to a string cannot fail.
            let _ = write!(line, "{gap}{}", style(at, text));
        }
        line
    }
}

fn cells(node: &Node) -> [String; 9] {
    [
        node.url.clone(),
        state(node).0.to_owned(),
        bar(node),
        node.users.to_string(),
        node.legacy_users.to_string(),
        node.stores_to_empty.to_string(),
        node.capacity
            .map_or_else(|| "–".to_owned(), |capacity| capacity.to_string()),
        node.weight.to_string(),
        backoff(node),
    ]
}

/// A node in lines of at most forty characters, but for its address.
fn show_lines(node: &Node) {
    let (state, style) = state(node);
    terminal::print_line(styled(&node.url, Style::Bold));
    let load = match node.capacity {
        Some(capacity) => format!("{} of {capacity}", styled(bar(node), load_style(node))),
        None => "any number of stores".to_owned(),
    };
    terminal::print_line(format_args!("  {}", styled(state, style)));
    terminal::print_line(format_args!("  {load}"));
    let mut stores = format!(
        "{}, {} of Sync 1.1",
        counted(node.users, "user"),
        node.legacy_users
    );
    if node.stores_to_empty > 0 {
        let _ = write!(stores, ", {} to empty", node.stores_to_empty);
    }
    terminal::print_line(format_args!("  {stores}"));
    let asked = match node.backoff_seconds {
        0 => String::new(),
        _ => format!(", back-off {}", styled(backoff(node), Style::Warning)),
    };
    terminal::print_line(format_args!("  weight {}{asked}", node.weight));
}

/// The state of a node in words, and their style.
fn state(node: &Node) -> (&'static str, Style) {
    match node.state {
        NodeState::Down => ("down", Style::Bad),
        NodeState::Draining => ("draining", Style::Warning),
        NodeState::NoNewUsers => ("no new users", Style::Warning),
        NodeState::Accepting if !node.is_listed => ("not in tokens.nodes", Style::Warning),
        NodeState::Accepting if is_full(node) => ("full", Style::Warning),
        NodeState::Accepting => ("takes users", Style::Good),
    }
}

fn is_full(node: &Node) -> bool {
    node.capacity.is_some_and(|capacity| node.load >= capacity)
}

/// The share of its capacity that is taken, in percent; 0 where it has none.
fn percent(node: &Node) -> u64 {
    match node.capacity {
        Some(capacity) => node.load.saturating_mul(100) / capacity.max(1),
        None => 0,
    }
}

/// The load as a bar: at least a piece of it where there is a store, and the whole bar only where the node is full.
fn bar(node: &Node) -> String {
    if node.capacity.is_none() {
        return "no limit".to_owned();
    }
    let percent = percent(node);
    let tenths = usize::try_from(percent / 10).unwrap_or(BAR).min(BAR);
    let filled = if node.load > 0 { tenths.max(1) } else { 0 };
    format!("{}{} {percent:3} %", "█".repeat(filled), "░".repeat(BAR - filled))
}

fn load_style(node: &Node) -> Style {
    match (node.capacity, percent(node)) {
        (None, _) => Style::Dim,
        (Some(_), 100..) => Style::Bad,
        (Some(_), 90..) => Style::Warning,
        (Some(_), _) => Style::Good,
    }
}

/// The back-off as people write it.
fn backoff(node: &Node) -> String {
    match node.backoff_seconds {
        0 => "–".to_owned(),
        seconds if seconds % 3600 == 0 => format!("{} h", seconds / 3600),
        seconds if seconds % 60 == 0 => format!("{} min", seconds / 60),
        seconds => format!("{seconds} s"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn node(load: u64, capacity: Option<u64>) -> Node {
        Node {
            url: "https://node1.example.org".to_owned(),
            state: NodeState::Accepting,
            is_listed: true,
            users: load,
            legacy_users: 0,
            stores_to_empty: 0,
            load,
            capacity,
            weight: 100,
            backoff_seconds: 0,
        }
    }

    #[test]
    fn a_bar_is_empty_or_whole_only_where_the_node_is() {
        for (load, capacity, expected) in [
            (0, 1000, "░░░░░░░░░░   0 %"),
            (1, 1000, "█░░░░░░░░░   0 %"),
            (500, 1000, "█████░░░░░  50 %"),
            (999, 1000, "█████████░  99 %"),
            (1000, 1000, "██████████ 100 %"),
            (1100, 1000, "██████████ 110 %"),
        ] {
            assert_eq!(bar(&node(load, Some(capacity))), expected);
        }
        assert_eq!(bar(&node(7, None)), "no limit");
    }

    #[test]
    fn addresses_are_sorted_as_people_count() {
        let sorted = [
            "http://10.0.0.9:80",
            "http://10.0.0.10:8",
            "http://10.0.0.10:80",
            "https://a",
            "https://a1",
            "https://a2.org",
            "https://a10.org",
            "https://b1",
        ];
        assert!(sorted.is_sorted_by_key(|url| in_order(url)));
    }

    #[test]
    fn a_node_is_full_only_where_it_has_a_capacity() {
        assert_eq!(state(&node(10, Some(10))).0, "full");
        assert_eq!(state(&node(9, Some(10))).0, "takes users");
        assert_eq!(state(&node(9, None)).0, "takes users");
    }
}
