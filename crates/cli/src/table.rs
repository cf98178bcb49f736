//! Tables for people; widths count Chinese characters as two columns.

use comfy_table::{CellAlignment, LineStyle, Table, TableStyle};

/// A line under the titles, and nothing else.
const STYLE: TableStyle = TableStyle::new().header_separator(LineStyle::none().fill('─').junction('─'));

/// A table with these column titles; columns whose title starts with `>` are aligned to the right.
pub(crate) fn table(titles: &[&str]) -> Table {
    let mut table = Table::new();
    table.load_style(STYLE);
    table.set_header(titles.iter().map(|title| title.trim_start_matches('>')));
    for (title, column) in titles.iter().zip(table.column_iter_mut()) {
        if title.starts_with('>') {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    table
}

/// A count with its unit: `25.31 GFLOP`, `123 B`.
pub(crate) fn with_prefix(count: f64, unit: &str) -> String {
    let prefixes = [(1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k")];
    match prefixes.iter().find(|(size, _)| count >= *size) {
        Some((size, prefix)) => format!("{:.2} {prefix}{unit}", count / size),
        None => format!("{count:.0} {unit}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_get_the_prefix_that_fits() {
        assert_eq!(with_prefix(999.0, "B"), "999 B");
        assert_eq!(with_prefix(25_310_000_000.0, "FLOP"), "25.31 GFLOP");
        assert_eq!(with_prefix(1e12, "B"), "1.00 TB");
    }

    #[test]
    fn chinese_characters_take_two_columns() {
        let mut table = table(&["label", ">score"]);
        table.add_row(["收入证明", "1.0"]).add_row(["ABCDEFGH", "0.5"]);
        let text = table.to_string();
        let ends: Vec<usize> = text.lines().skip(2).map(|line| line.chars().count()).collect();
        assert_eq!(ends, [ends[1] - 4, ends[1]], "{text}");
    }
}
