// TableText: rows of cells as aligned columns, in at most 100 columns of a terminal.

/// Lays rows out: the first column to the left, the others to the right.
public enum TableText {
    /// Columns that the first cell keeps, however little room there is.
    static let nameColumnsMin = 8

    /// Where the rows are too wide, the gaps become narrower, then the first cells shorter.
    public static func lines(_ rows: [[String]]) -> [String] {
        var rows = rows.map { row in row.map(PlainText.printable) }
        var widths = widths(of: rows)
        var gap = "  "
        if total(widths, gap) > PlainText.columnsMax { gap = " " }
        let excess = total(widths, gap) - PlainText.columnsMax
        if excess > 0, let first = widths.first {
            let room = max(first - excess, nameColumnsMin)
            for index in rows.indices where !rows[index].isEmpty {
                rows[index][0] = PlainText.shortened(rows[index][0], room)
            }
            widths = self.widths(of: rows)
        }
        return rows.map { row in
            let cells = row.enumerated().map { index, cell in
                NumberText.padded(cell, widths[index], isLeading: index > 0)
            }
            let line = cells.joined(separator: gap)
            return String(line.reversed().drop { $0 == " " }.reversed())
        }
    }

    private static func widths(of rows: [[String]]) -> [Int] {
        var widths: [Int] = []
        for row in rows {
            for (index, cell) in row.enumerated() {
                if index == widths.count { widths.append(0) }
                widths[index] = max(widths[index], cell.count)
            }
        }
        return widths
    }

    private static func total(_ widths: [Int], _ gap: String) -> Int {
        widths.reduce(0, +) + gap.count * max(widths.count - 1, 0)
    }
}
