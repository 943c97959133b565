// PlainText: text of a terminal: at most 100 columns, and no byte in it that a terminal obeys.

/// Lines for people.
public enum PlainText {
    /// The width that all tables and paragraphs keep to.
    public static let columnsMax = 100

    /// The text with everything that is not to be shown as it is in backslashes: what a server
    /// says must not move a cursor, nor turn the direction of a line.
    public static func printable(_ text: String) -> String {
        var result = ""
        for scalar in text.unicodeScalars {
            if isHarmless(scalar) {
                result.unicodeScalars.append(scalar)
            } else {
                result += "\\u{\(String(scalar.value, radix: 16))}"
            }
        }
        return result
    }

    private static func isHarmless(_ scalar: Unicode.Scalar) -> Bool {
        switch scalar.properties.generalCategory {
        case .control, .format, .surrogate, .privateUse, .unassigned, .lineSeparator,
            .paragraphSeparator:
            false
        default: true
        }
    }

    /// A text behind a label, broken between words (or within, where one is too long) so that
    /// no line has more than `columnsMax` columns; further lines begin below the text.
    public static func wrapped(_ text: String, label: String) -> [String] {
        let room = columnsMax - label.count
        let indent = String(repeating: " ", count: label.count)
        var lines: [String] = []
        var line = ""
        for word in printable(text).split(separator: " ") {
            var word = word[...]
            if !line.isEmpty, line.count + 1 + word.count > room {
                lines.append(line)
                line = ""
            }
            while word.count > room {
                lines.append(String(word.prefix(room)))
                word = word.dropFirst(room)
            }
            line += (line.isEmpty ? "" : " ") + word
        }
        if !line.isEmpty || lines.isEmpty { lines.append(line) }
        return lines.enumerated().map { ($0.offset == 0 ? label : indent) + $0.element }
    }

    /// At most so many columns, with an ellipsis in place of the middle.
    public static func shortened(_ text: String, _ columns: Int) -> String {
        guard text.count > columns, columns > 2 else { return text }
        let head = (columns - 1) / 2
        return text.prefix(head) + "…" + text.suffix(columns - 1 - head)
    }
}
