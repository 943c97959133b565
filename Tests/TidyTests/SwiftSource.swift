// SwiftSource: a Swift file seen as code alone.
//
// Comments and the insides of string literals become blanks, line for line, so that rules can
// look for words and braces without being fooled. Not a parser: regex literals are left as they
// are, which is harmless as long as their braces and quotes come in pairs.

/// The code of one file.
struct SwiftSource {
    /// The file's lines, without comments and contents of strings.
    let lines: [String]
    /// The file's lines, with nothing but what stands in comments.
    let comments: [String]

    init(_ text: String) {
        var scanner = Scanner(bytes: Array(text.utf8))
        scanner.run()
        lines = Self.lines(of: scanner.bytes)
        comments = Self.lines(of: scanner.comments)
    }

    private static func lines(of bytes: [UInt8]) -> [String] {
        String(decoding: bytes, as: UTF8.self)
            .split(separator: "\n", omittingEmptySubsequences: false).map(String.init)
    }

    /// A function, where it begins and how many lines it has.
    struct Function: Equatable {
        var line: Int
        var lineCount: Int
    }

    /// Functions, initialisers and subscripts that have a body; lines count from 1.
    var functions: [Function] {
        lines.indices.compactMap { index in
            guard lines[index].prefixMatch(of: Self.declaration) != nil,
                let end = bodyEnd(from: index)
            else { return nil }
            return Function(line: index + 1, lineCount: end - index + 1)
        }
    }

    nonisolated(unsafe) private static let declaration =
        /\s*(?:@\w+(?:\([^)]*\))?\s+|\w+(?:\(set\))?\s+)*(?:func\s|init[?!]?\s*[(<]|deinit\b|subscript\s*[(<])/
        .wordBoundaryKind(.simple)
    nonisolated(unsafe) private static let nextDeclaration =
        /\s*(?:@|#|\}|(?:public|package|internal|private|fileprivate|static|mutating|func|init|deinit|var|let|subscript|case|associatedtype|typealias|struct|enum|extension|protocol)\b)/
        .wordBoundaryKind(.simple)

    /// The line on which the body of the declaration at `start` ends; nil if it has none.
    private func bodyEnd(from start: Int) -> Int? {
        var parentheses = 0
        var braces = 0
        for index in start..<lines.count {
            if index > start, braces == 0, parentheses == 0,
                lines[index].prefixMatch(of: Self.nextDeclaration) != nil
            {
                return nil
            }
            for character in lines[index] {
                switch character {
                case "(", "[": parentheses += 1
                case ")", "]": parentheses -= 1
                case "{" where braces > 0 || parentheses == 0: braces += 1
                case "}" where braces > 0:
                    braces -= 1
                    if braces == 0 { return index }
                default: break
                }
            }
        }
        return nil
    }
}

/// Blanks comments and strings in place, and keeps the comments apart.
private struct Scanner {
    var bytes: [UInt8]
    private(set) var comments: [UInt8]
    private var position = 0
    private var contexts: [Context] = [.code(parentheses: 0)]

    private enum Context {
        case code(parentheses: Int)
        case string(hashes: Int, quotes: Int)
    }

    init(bytes: [UInt8]) {
        self.bytes = bytes
        comments = bytes.map { $0 == UInt8(ascii: "\n") ? $0 : UInt8(ascii: " ") }
    }

    mutating func run() {
        while position < bytes.count {
            switch contexts.last {
            case .string(let hashes, let quotes): string(hashes: hashes, quotes: quotes)
            case .code(let parentheses): code(parentheses: parentheses)
            case nil: contexts = [.code(parentheses: 0)]
            }
        }
    }

    private func has(_ text: String, at offset: Int = 0) -> Bool {
        var index = position + offset
        for byte in text.utf8 {
            guard index < bytes.count, bytes[index] == byte else { return false }
            index += 1
        }
        return true
    }

    private func hashes(at offset: Int = 0) -> Int {
        bytes[min(position + offset, bytes.count)...].prefix { $0 == UInt8(ascii: "#") }.count
    }

    private mutating func blank(_ count: Int) {
        for index in position..<min(position + count, bytes.count)
        where bytes[index] != UInt8(ascii: "\n") {
            bytes[index] = UInt8(ascii: " ")
        }
        position = min(position + count, bytes.count)
    }

    private mutating func blankComment(_ count: Int) {
        let end = min(position + count, bytes.count)
        comments.replaceSubrange(position..<end, with: bytes[position..<end])
        blank(count)
    }

    private mutating func code(parentheses: Int) {
        let hashes = hashes()
        if has("//") {
            blankComment(bytes[position...].prefix { $0 != UInt8(ascii: "\n") }.count)
        } else if has("/*") {
            blockComment()
        } else if has("\"", at: hashes) {
            let quotes = has("\"\"\"", at: hashes) ? 3 : 1
            contexts.append(.string(hashes: hashes, quotes: quotes))
            blank(hashes + quotes)
        } else if has("(") {
            contexts[contexts.count - 1] = .code(parentheses: parentheses + 1)
            position += 1
        } else if has(")"), parentheses == 0, contexts.count > 1 {
            contexts.removeLast()
            blank(1)
        } else {
            if has(")") { contexts[contexts.count - 1] = .code(parentheses: parentheses - 1) }
            position += max(hashes, 1)
        }
    }

    private mutating func string(hashes: Int, quotes: Int) {
        let marks = String(repeating: "#", count: hashes)
        if has("\\" + marks + "(") {
            contexts.append(.code(parentheses: 0))
            blank(2 + hashes)
        } else if has("\\" + marks) {
            blank(2 + hashes)
        } else if has(String(repeating: "\"", count: quotes) + marks) {
            contexts.removeLast()
            blank(quotes + hashes)
        } else if quotes == 1, has("\n") {
            contexts.removeLast()
        } else {
            blank(1)
        }
    }

    private mutating func blockComment() {
        var depth = 0
        repeat {
            if has("/*") {
                depth += 1
                blankComment(2)
            } else if has("*/") {
                depth -= 1
                blankComment(2)
            } else {
                blankComment(1)
            }
        } while depth > 0 && position < bytes.count
    }
}
