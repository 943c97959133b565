// Reads the transcripts of Tests/transcripts (README.md there describes them): what is sent and
// what is expected, as bytes, by section. Names of numbers are replaced by a number that fits.

import Glibc

struct Transcript {
    struct Section {
        var name: String
        var sent: [UInt8] = []
        /// What must come back; nil if it is not written out byte for byte.
        var expected: [UInt8]? = []
        /// Whether the server must close.
        var closes = false
    }

    var name: String
    var sections: [Section] = []

    static let all = load("classic") + load("meta") + load("binary")

    /// The transcripts of a folder; of all but the classic ones its name is part of theirs.
    static func load(_ place: String) -> [Transcript] {
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
        return names.sorted().map { Transcript(name: prefix + $0, text: read(folder + "/" + $0)) }
    }

    static func read(_ path: String) -> [UInt8] {
        guard let file = fopen(path, "r") else { return [] }
        defer { fclose(file) }
        var bytes: [UInt8] = []
        while case let byte = fgetc(file), byte != EOF { bytes.append(UInt8(byte)) }
        return bytes
    }

    init(name: String, text: [UInt8]) {
        self.name = name
        var section = Section(name: "start")
        for line in text.split(separator: UInt8(ascii: "\n"), omittingEmptySubsequences: true) {
            let line = String(decoding: line, as: UTF8.self)
            if line.hasPrefix("#") { continue }
            let marks = ["---", ">>", "<<", "<~", ">", "<", "@", "!"]
            guard let mark = marks.first(where: { line.hasPrefix($0) }) else {
                fatalError("\(name): no mark: \(line)")
            }
            var rest = line.dropFirst(mark.count)
            if rest.hasPrefix(" ") { rest = rest.dropFirst() }
            switch mark {
            case "---":
                sections.append(section)
                section = Section(name: String(rest))
            case ">": section.sent += Self.bytes(rest) + [13, 10]
            case ">>": section.sent += Self.bytes(rest)
            case "<": section.expected?.append(contentsOf: Self.bytes(rest) + [13, 10])
            case "<<": section.expected?.append(contentsOf: Self.bytes(rest))
            case "<~": section.expected = nil
            case "!": section.closes = true
            default: break
            }
        }
        sections.append(section)
    }

    static func bytes(_ text: Substring) -> [UInt8] {
        var result: [UInt8] = []
        var rest = Array(text.utf8)[...]
        while let byte = rest.popFirst() {
            switch byte {
            case UInt8(ascii: "\\"): result += escape(&rest)
            case UInt8(ascii: "{"):
                rest = rest.drop { $0 != UInt8(ascii: "}") }.dropFirst()
                result += Array("1".utf8)
            default: result.append(byte)
            }
        }
        return result
    }

    private static func escape(_ rest: inout ArraySlice<UInt8>) -> [UInt8] {
        switch rest.removeFirst() {
        case UInt8(ascii: "r"): return [13]
        case UInt8(ascii: "n"): return [10]
        case UInt8(ascii: "t"): return [9]
        case UInt8(ascii: "0"): return [0]
        case UInt8(ascii: "\\"): return [92]
        case UInt8(ascii: "x"):
            let digits = String(decoding: rest.prefix(2), as: UTF8.self)
            rest = rest.dropFirst(2)
            return [UInt8(digits, radix: 16)!]
        case UInt8(ascii: "R"):
            let digits = rest.prefix { $0 != UInt8(ascii: ",") }
            rest = rest.dropFirst(digits.count + 1)
            let first = rest.removeFirst()
            let what = first == UInt8(ascii: "\\") ? escape(&rest) : [first]
            rest = rest.dropFirst()  // ;
            let count = Int(String(decoding: digits, as: UTF8.self))!
            return Array(repeatElement(what, count: count).joined())
        default: fatalError("unknown escape")
        }
    }
}
