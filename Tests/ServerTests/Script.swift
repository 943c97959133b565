// Script: a transcript of Tests/transcripts as steps, and its texts as patterns.

import Glibc

struct Script {
    enum Step {
        case send(Text)
        /// `skips`: any lines may come first.
        case expect(Text, skips: Bool)
        case pass(seconds: Int)
        case close
    }

    struct Section {
        var name: String
        var steps: [Step] = []
    }

    /// A text: bytes, and holes to match numbers or anything.
    struct Text {
        enum Part {
            case bytes([UInt8])
            case number(String)
            case anything
            /// So many bytes, whatever they are.
            case some(Int)
        }
        var parts: [Part] = []

        /// Whether it is sent or expected byte for byte.
        var isPlain: Bool {
            parts.allSatisfy { if case .bytes = $0 { true } else { false } }
        }

        func bytes(_ names: [String: [UInt8]]) -> [UInt8] {
            parts.flatMap { part -> [UInt8] in
                switch part {
                case .bytes(let bytes): bytes
                case .number(let name): names[name] ?? []
                case .anything, .some: []
                }
            }
        }

        /// How long it is, if that is known without looking at what came.
        var count: Int? {
            var sum = 0
            for part in parts {
                switch part {
                case .bytes(let bytes): sum += bytes.count
                case .some(let count): sum += count
                case .number, .anything: return nil
                }
            }
            return sum
        }

        /// Whether `line` matches from its start to its end; new numbers get their names.
        func matches(_ line: ArraySlice<UInt8>, _ names: inout [String: [UInt8]]) -> Bool {
            var rest = line
            var found = names
            for (index, part) in parts.enumerated() {
                switch part {
                case .bytes(let bytes):
                    guard rest.starts(with: bytes) else { return false }
                    rest = rest.dropFirst(bytes.count)
                case .number(let name):
                    let digits = Array(rest.prefix { $0 >= 48 && $0 <= 57 })
                    guard !digits.isEmpty else { return false }
                    if let known = found[name] {
                        guard known == digits else { return false }
                    } else {
                        found[name] = digits
                    }
                    rest = rest.dropFirst(digits.count)
                case .anything:
                    let tail = index + 1 < parts.count ? 2 : 0
                    rest = rest.suffix(tail)
                case .some(let count):
                    guard rest.count >= count else { return false }
                    rest = rest.dropFirst(count)
                }
            }
            guard rest.isEmpty else { return false }
            names = found
            return true
        }
    }

    var name: String
    var sections: [Section]

    static let all = read("classic") + read("meta") + read("binary")

    /// The transcripts of a folder; of all but the classic ones its name is part of theirs.
    private static func read(_ place: String) -> [Script] {
        let folder =
            #filePath.split(separator: "/").dropLast(2).reduce("") { $0 + "/" + $1 }
            + "/transcripts/" + place
        let prefix = place == "classic" ? "" : place + "/"
        guard let directory = opendir(folder) else { return [] }
        defer { closedir(directory) }
        var names: [String] = []
        while let entry = readdir(directory) {
            let name = withUnsafeBytes(of: &entry.pointee.d_name) {
                String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self)
            }
            if name.hasSuffix(".txt") { names.append(name) }
        }
        return names.sorted().map { Script(name: prefix + $0, path: folder + "/" + $0) }
    }

    private init(name: String, path: String) {
        self.name = name
        sections = [Section(name: "start")]
        guard let file = fopen(path, "r") else { return }
        defer { fclose(file) }
        var bytes: [UInt8] = []
        while case let byte = fgetc(file), byte != EOF { bytes.append(UInt8(byte)) }
        for line in bytes.split(separator: UInt8(ascii: "\n")) where line.first != 35 { read(line) }
        sections.removeAll { $0.steps.isEmpty }
    }

    private mutating func read(_ line: ArraySlice<UInt8>) {
        let marks = ["---", ">>", "<<", "<~", ">", "<", "@", "!"]
        guard let mark = marks.first(where: { line.starts(with: $0.utf8) }) else { return }
        var rest = line.dropFirst(mark.utf8.count)
        if rest.first == 32 { rest = rest.dropFirst() }
        if mark == "---" {
            sections.append(Section(name: String(decoding: rest, as: UTF8.self)))
            return
        }
        let end: [UInt8] = mark.hasSuffix(">>") || mark == "<<" ? [] : [13, 10]
        var text = Self.text(rest)
        text.parts.append(.bytes(end))
        let step: Step =
            switch mark {
            case ">", ">>": .send(text)
            case "<", "<<": .expect(text, skips: false)
            case "<~": .expect(text, skips: true)
            case "!": .close
            default:
                .pass(
                    seconds: Int(String(decoding: rest.dropFirst().dropLast(), as: UTF8.self))
                        ?? 0)
            }
        sections[sections.count - 1].steps.append(step)
    }

    private static func text(_ line: ArraySlice<UInt8>) -> Text {
        var text = Text()
        var literal: [UInt8] = []
        var rest = line
        while let byte = rest.popFirst() {
            switch byte {
            case UInt8(ascii: "\\"): literal += escape(&rest)
            case UInt8(ascii: "{"):
                let inside = String(decoding: rest.prefix { $0 != 125 }, as: UTF8.self)
                rest = rest.drop { $0 != 125 }.dropFirst()
                text.parts.append(.bytes(literal))
                literal = []
                // A CAS need differ only from earlier ones of its own key.
                let name = String(inside.prefix { $0 != "!" })
                let hole = inside.split(separator: ":")
                if hole.count == 2, let count = Int(hole[1]) {
                    text.parts.append(.some(count))
                } else {
                    text.parts.append(name == "*" ? .anything : .number(name))
                }
            default: literal.append(byte)
            }
        }
        text.parts.append(.bytes(literal))
        return text
    }

    private static func escape(_ rest: inout ArraySlice<UInt8>) -> [UInt8] {
        switch rest.popFirst() {
        case UInt8(ascii: "r"): return [13]
        case UInt8(ascii: "n"): return [10]
        case UInt8(ascii: "t"): return [9]
        case UInt8(ascii: "0"): return [0]
        case UInt8(ascii: "\\"): return [92]
        case UInt8(ascii: "x"):
            let digits = String(decoding: rest.prefix(2), as: UTF8.self)
            rest = rest.dropFirst(2)
            return [UInt8(digits, radix: 16) ?? 63]
        case UInt8(ascii: "R"):
            let count = Int(String(decoding: rest.prefix { $0 != 44 }, as: UTF8.self)) ?? 0
            rest = rest.drop { $0 != 44 }.dropFirst()
            var what: [UInt8] = []
            if rest.first == UInt8(ascii: "\\") {
                rest = rest.dropFirst()
                what = escape(&rest)
            } else {
                what = Array(rest.prefix { $0 != 59 })
                rest = rest.dropFirst(what.count)
            }
            rest = rest.dropFirst()
            return Array(repeatElement(what, count: count).joined())
        default: return []
        }
    }
}
