// Declarations: what a Swift file declares: names, types with their stored fields, test suites.
//
// Found by a walk over words and marks with a stack of braces; not a parser. A name that is bound
// by a pattern, as in `let (a, b)`, is not seen.

/// What one file declares.
struct Declarations {
    /// A name, and the line of its declaration.
    struct Name: Equatable {
        var text: String
        var line: Int
    }

    /// A type that can have stored fields, by its whole name, and how many it has.
    struct Fields: Equatable {
        var type: String
        var line: Int
        var count: Int
    }

    /// Functions, variables, cases of enums and types; not what overrides something, and not the
    /// cases of `CaseIterable` enums, which are used by being there.
    private(set) var names: [Name] = []
    private(set) var types: [Fields] = []
    /// Types that hold tests or are marked as suites.
    private(set) var suites: [Name] = []
    /// Whether a test stands in no type.
    private(set) var hasLooseTests = false
    /// How often each word stands in the code, declarations included.
    private(set) var wordCounts: [String: Int] = [:]

    private let tokens: [Token]
    private var levels: [Level] = []
    private var header: Level?
    /// The words of the statement so far: where it is a declaration, its modifiers.
    private var modifiers: Set<String> = []
    private var isMarkedSuite = false

    /// A pair of braces, or what is about to open one.
    private struct Level {
        var type: String?
        var keyword = ""
        var line = 0
        var fieldCount = 0
        var parentheses = 0
        var isIterable = false
    }

    private static let typeKeywords: Set<String> = [
        "struct", "class", "enum", "actor", "protocol", "extension",
    ]
    private static let memberKeywords: Set<String> = ["func", "typealias", "associatedtype"]
    private static let withoutFields: Set<String> = ["protocol", "extension"]

    init(_ source: SwiftSource) {
        tokens = Token.all(in: source.lines)
        levels = [Level()]
        for index in tokens.indices { take(index) }
    }

    private mutating func take(_ index: Int) {
        let token = tokens[index]
        guard token.isWord else { return takeMark(index) }
        wordCounts[token.text, default: 0] += 1
        if token.text == "CaseIterable" { header?.isIterable = true }
        let isPartOfPath = index > 0 && tokens[index - 1].text == "."
        guard !isPartOfPath, !modifiers.contains("import") else { return }
        if Self.typeKeywords.contains(token.text) {
            takeType(index)
        } else if Self.memberKeywords.contains(token.text) {
            declare(index + 1)
        } else if token.text == "case", levels.last?.keyword == "enum" {
            guard levels.last?.isIterable == false else { return }
            for name in bindings(from: index + 1).names { declare(name) }
        } else if token.text == "let" || token.text == "var" {
            takeVariables(index)
        }
        modifiers.insert(token.text)
    }

    private mutating func takeMark(_ index: Int) {
        switch tokens[index].text {
        case "(", "[": levels[levels.count - 1].parentheses += 1
        case ")", "]": levels[levels.count - 1].parentheses -= 1
        case "{": open()
        case "}": close()
        case "@": takeAttribute(index)
        case "\n" where levels.last?.parentheses == 0: modifiers = []
        default: break
        }
    }

    private mutating func open() {
        modifiers = []
        guard levels.last?.parentheses == 0, let type = header else {
            return levels.append(Level())
        }
        header = nil
        levels.append(type)
    }

    private mutating func close() {
        modifiers = []
        guard levels.count > 1, let level = levels.popLast(), let type = level.type else { return }
        guard !Self.withoutFields.contains(level.keyword) else { return }
        types.append(Fields(type: type, line: level.line, count: level.fieldCount))
    }

    private mutating func takeAttribute(_ index: Int) {
        switch word(at: index + 1) {
        case "Suite": isMarkedSuite = true
        case "Test":
            guard let type = levels.last?.type?.split(separator: ".").last else {
                hasLooseTests = true
                return
            }
            addSuite(String(type), line: tokens[index].line)
        default: break
        }
    }

    private mutating func addSuite(_ name: String, line: Int) {
        guard !suites.contains(where: { $0.text == name }) else { return }
        suites.append(Name(text: name, line: line))
    }

    private mutating func takeType(_ index: Int) {
        guard let name = word(at: index + 1), name != "func", name != "var", name != "let" else {
            return
        }
        let token = tokens[index]
        if token.text != "extension" { declare(index + 1) }
        var path = levels.compactMap(\.type) + [name]
        var position = index + 2
        while position + 1 < tokens.count, tokens[position].text == "." {
            path.append(tokens[position + 1].text)
            position += 2
        }
        header = Level(
            type: path.joined(separator: "."), keyword: token.text, line: token.line)
        if isMarkedSuite { addSuite(path[path.count - 1], line: token.line) }
        isMarkedSuite = false
    }

    private mutating func takeVariables(_ index: Int) {
        let found = bindings(from: index + 1)
        for name in found.names { declare(name) }
        guard found.isStored, let level = levels.last, level.type != nil, level.parentheses == 0,
            !modifiers.contains("static"), !modifiers.contains("class")
        else { return }
        levels[levels.count - 1].fieldCount += found.names.count
    }

    private mutating func declare(_ index: Int) {
        guard let name = word(at: index), name != "_", !modifiers.contains("override") else {
            return
        }
        names.append(Name(text: name, line: tokens[index].line))
    }

    /// The word at a place of the text; nil if something else stands there.
    private func word(at index: Int) -> String? {
        guard index < tokens.count, tokens[index].isWord else { return nil }
        return tokens[index].text
    }
}

extension Declarations {
    /// The names that a `let`, `var` or `case` gives, as places of the text, and whether what it
    /// names is stored rather than computed.
    private func bindings(from start: Int) -> (names: [Int], isStored: Bool) {
        var names: [Int] = []
        var depth = 0
        var isNameNext = true
        var hasValue = false
        for index in start..<tokens.count {
            let text = tokens[index].text
            let isOutside = depth == 0
            if isNameNext {
                guard tokens[index].isWord else { return (names, true) }
                names.append(index)
                isNameNext = false
            } else if text == "(" || text == "[" || (text == "<" && !hasValue) {
                depth += 1
            } else if text == ")" || text == "]" || (text == ">" && !hasValue && !isArrow(index)) {
                depth -= 1
                if depth < 0 { return (names, true) }
            } else if text == "{" {
                if isOutside { return (names, hasValue || isObserved(index)) }
                depth += 1
            } else if text == "}" {
                depth -= 1
                if depth < 0 { return (names, true) }
            } else if isOutside, text == "=" {
                hasValue = true
            } else if isOutside, text == "," {
                // Outside a type's body it may be the next condition of an `if`.
                guard levels.last?.type != nil else { return (names, true) }
                isNameNext = true
            } else if isOutside, text == "\n", !goesOn(index) {
                return (names, true)
            }
        }
        return (names, true)
    }

    private func isArrow(_ index: Int) -> Bool { index > 0 && tokens[index - 1].text == "-" }

    /// Whether braces hold observers, which stored variables have too.
    private func isObserved(_ index: Int) -> Bool {
        let next = tokens[(index + 1)...].first { $0.text != "\n" }
        return next?.text == "willSet" || next?.text == "didSet"
    }

    /// Whether the line that begins after this mark continues the one that ends with it.
    private func goesOn(_ index: Int) -> Bool {
        guard index + 1 < tokens.count, !tokens[index - 1].isWord || !tokens[index + 1].isWord
        else { return false }
        return "=,:".contains(tokens[index - 1].text) || "={".contains(tokens[index + 1].text)
    }
}

/// A word of the code, a mark that stands for itself, or the end of a line.
private struct Token {
    var text: String
    var line: Int
    var isWord: Bool

    static func all(in lines: [String]) -> [Token] {
        var tokens: [Token] = []
        for (index, line) in lines.enumerated() {
            var word: [UInt8] = []
            for byte in line.utf8 + [UInt8(ascii: "\n")] {
                if isPartOfWord(byte) {
                    word.append(byte)
                    continue
                }
                if !word.isEmpty {
                    let text = String(decoding: word, as: UTF8.self)
                    tokens.append(Token(text: text, line: index + 1, isWord: !isDigit(word[0])))
                    word = []
                }
                if byte == UInt8(ascii: " ") || byte == UInt8(ascii: "`") { continue }
                let text = String(decoding: [byte], as: UTF8.self)
                tokens.append(Token(text: text, line: index + 1, isWord: false))
            }
        }
        return tokens
    }

    private static func isDigit(_ byte: UInt8) -> Bool {
        (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte)
    }

    private static func isPartOfWord(_ byte: UInt8) -> Bool {
        isDigit(byte) || byte == UInt8(ascii: "_") || byte >= 0x80
            || (UInt8(ascii: "a")...UInt8(ascii: "z")).contains(byte | 0x20)
    }
}
