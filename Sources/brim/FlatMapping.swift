// FlatMapping: reads the part of YAML that a file of settings needs: `name: value`, one a line.
//
// A value is plain or quoted text, or a list: `[a, b]`, or lines of `- a` below the name. Comments,
// blank lines and `---` are passed over. Whatever else YAML has (mappings inside, anchors, tags,
// texts of several lines) is a fault, never read as something else (YAML 1.2.2, chapters 6 to 8).
// A library for all of YAML brings Foundation and the data of its calendars and languages: 40 MB.

/// A mapping of names to texts or lists of texts, in the order of the file.
package struct FlatMapping {
    package enum Value: Equatable {
        case text(String)
        case list([String])
    }

    /// What is wrong, and in which line, from 1.
    package struct Fault: Error {
        package let line: Int
        let text: String
    }

    package private(set) var values: [(name: String, value: Value, line: Int)] = []
    /// `---` was met: there is one document.
    private var hasBegun = false
    /// The last name has nothing behind it: a list may follow.
    private var isOpen = false
    /// How far the items of the list below the last name are indented.
    private var indent: Int?

    package init(_ text: String) throws(Fault) {
        var number = 0
        for line in text.split(omittingEmptySubsequences: false, whereSeparator: \.isNewline) {
            number += 1
            do throws(Complaint) {
                // Some editors begin a file with a byte order mark.
                let hasMark = number == 1 && line.first == "\u{FEFF}"
                try read(hasMark ? line.dropFirst() : line, number)
            } catch {
                throw Fault(line: number, text: error.text)
            }
        }
    }

    private struct Complaint: Error {
        let text: String
        init(_ text: String) { self.text = text }
    }

    private mutating func read(_ line: Substring, _ number: Int) throws(Complaint) {
        let bare = line.drop { $0 == " " }
        if bare.isEmpty || bare.hasPrefix("#") { return }
        if line == "---", values.isEmpty, !hasBegun {
            hasBegun = true
            return
        }
        if bare == "-" || bare.hasPrefix("- ") {
            let item = try Self.scalar(bare.dropFirst())
            guard let last = values.indices.last else {
                throw Complaint("a list needs a name before it")
            }
            let position = line.count - bare.count
            if let indent, indent == position, case .list(let items) = values[last].value {
                values[last].value = .list(items + [item])
            } else if isOpen {
                values[last].value = .list([item])
                indent = position
            } else if indent != nil {
                throw Complaint("the items of a list begin at the same place")
            } else {
                throw Complaint("'\(values[last].name)' has a value already")
            }
            isOpen = false
            return
        }
        guard bare.count == line.count, let colon = line.firstIndex(of: ":") else {
            throw Complaint("allowed is `name: value`, without indentation")
        }
        var name = String(line[..<colon])
        while name.last == " " { name.removeLast() }
        guard !name.isEmpty, name.allSatisfy({ $0.isLetter || $0.isNumber || $0 == "-" }),
            name.first != "-"
        else { throw Complaint("a name consists of letters, digits and '-'") }
        let rest = line[line.index(after: colon)...]
        guard rest.isEmpty || rest.hasPrefix(" ") else {
            throw Complaint("allowed is `name: value`, with a blank before the value")
        }
        guard !values.contains(where: { $0.name == name }) else {
            throw Complaint("'\(name)' is given twice")
        }
        values.append((name, try Self.value(rest, of: name), number))
        let text = rest.drop { $0 == " " }
        isOpen = text.isEmpty || text.hasPrefix("#")
        indent = nil
    }

    private static func value(_ text: Substring, of name: String) throws(Complaint) -> Value {
        let bare = text.drop { $0 == " " }
        guard !bare.hasPrefix("{") else {
            throw Complaint("'\(name)' takes one value, not a mapping")
        }
        guard bare.hasPrefix("[") else { return .text(try scalar(text)) }
        var items: [String] = []
        var rest = bare.dropFirst()
        while true {
            rest = rest.drop { $0 == " " }
            if rest.hasPrefix("]") { break }
            let (item, tail) = try piece(rest, until: ",]")
            items.append(item)
            rest = tail.drop { $0 == " " }
            if rest.hasPrefix(",") {
                rest = rest.dropFirst()
            } else if !rest.hasPrefix("]") {
                throw Complaint("a list ends with ] in its line")
            }
        }
        try end(rest.dropFirst())
        return .list(items)
    }

    /// A whole text, and nothing but a comment behind it.
    private static func scalar(_ text: Substring) throws(Complaint) -> String {
        let bare = text.drop { $0 == " " }
        if bare.isEmpty || bare.hasPrefix("#") { return "" }
        let (item, rest) = try piece(bare, until: "")
        try end(rest)
        return item
    }

    private static func end(_ text: Substring) throws(Complaint) {
        let bare = text.drop { $0 == " " }
        guard bare.isEmpty || bare.hasPrefix("#") && bare.count < text.count else {
            throw Complaint("nothing but a comment may follow a value")
        }
    }

    /// A text, quoted or plain, and what follows it; a plain one ends before a comment and before
    /// any of `stops`.
    private static func piece(
        _ text: Substring, until stops: String
    ) throws(Complaint) -> (String, Substring) {
        if text.hasPrefix("\"") { return try doubleQuoted(text.dropFirst()) }
        if text.hasPrefix("'") { return try singleQuoted(text.dropFirst()) }
        guard let first = text.first, !"{}[],&*!|>%@`?#".contains(first) else {
            throw Complaint("quote a value that begins with '\(text.prefix(1))'")
        }
        // Alone these mean a list or a key; within a text they do not.
        if first == "-" || first == ":" {
            guard let next = text.dropFirst().first, next != " ", !stops.contains(next) else {
                throw Complaint("quote a value that begins with '\(first)'")
            }
        }
        var item = ""
        var rest = text
        while let letter = rest.first, !stops.contains(letter) {
            let next = rest.dropFirst()
            if letter == " ", next.hasPrefix("#") { break }
            if letter == "\t" { throw Complaint("quote a value that holds a tab") }
            if letter == ":", next.isEmpty || next.hasPrefix(" ") {
                throw Complaint("quote a value that holds ': '")
            }
            item.append(letter)
            rest = next
        }
        while item.last == " " { item.removeLast() }
        return (["~", "null", "Null", "NULL"].contains(item) ? "" : item, rest)
    }

    private static func singleQuoted(_ text: Substring) throws(Complaint) -> (String, Substring) {
        var item = ""
        var rest = text
        while let letter = rest.popFirst() {
            guard letter == "'" else {
                item.append(letter)
                continue
            }
            guard rest.hasPrefix("'") else { return (item, rest) }
            item.append("'")
            rest.removeFirst()
        }
        throw Complaint("a quoted value ends in its line")
    }

    private static func doubleQuoted(_ text: Substring) throws(Complaint) -> (String, Substring) {
        var item = ""
        var rest = text
        while let letter = rest.popFirst() {
            if letter == "\"" { return (item, rest) }
            guard letter == "\\" else {
                item.append(letter)
                continue
            }
            switch rest.popFirst() {
            case "\\": item.append("\\")
            case "\"": item.append("\"")
            case "/": item.append("/")
            case "t": item.append("\t")
            default: throw Complaint("after \\ allowed are \\ \" / t")
            }
        }
        throw Complaint("a quoted value ends in its line")
    }
}
