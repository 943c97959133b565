// WorkloadFile: loads with names: options in a file, one a line, that the command line overrides.
//
// ```text
// # Comment.
// mix = get=90,set=10
// value-bytes = 100
// verify
// ```

internal import Load
internal import Primitives

/// Files that `--workload PATH` names.
enum WorkloadFile {
    /// Replaces `--workload PATH` by the options in the file, and `--preset NAME` by what it
    /// stands for. They come first, right behind the subcommand, presets before files, so that
    /// what the command line says as well counts.
    static func expand(_ arguments: [String]) throws(ArgumentFault) -> [String] {
        let (paths, rest) = try NamedArgument.take("workload", from: arguments)
        var found: [String] = []
        for path in paths { found += try options(in: path) }
        return try Preset.expand(Array(rest.prefix(1)) + found + rest.dropFirst())
    }

    static func options(in path: String) throws(ArgumentFault) -> [String] {
        guard let text = SystemTree.text(path, bytesMax: 64 << 10) else {
            throw ArgumentFault("workload: '\(path)' cannot be read")
        }
        var options: [String] = []
        for (number, line) in text.split(separator: "\n", omittingEmptySubsequences: false)
            .enumerated()
        {
            options += try option(on: line, "workload: \(path):\(number + 1)")
        }
        return options
    }

    /// The option on a line, as arguments; none on a line without one. `place` begins a fault.
    static func option(on line: Substring, _ place: String) throws(ArgumentFault) -> [String] {
        let content = trimmed(line.prefix { $0 != "#" })
        guard !content.isEmpty else { return [] }
        let sides = content.split(separator: "=", maxSplits: 1).map(trimmed)
        guard let name = sides.first, sides.count <= 2,
            name.allSatisfy({ $0.isASCII && ($0.isLowercase || $0 == "-") }),
            name != "workload"
        else { throw ArgumentFault("\(place) is not NAME = VALUE") }
        return ["--" + name] + sides.dropFirst()
    }

    private static func trimmed(_ text: Substring) -> String {
        String(
            text.drop { $0 == " " || $0 == "\t" }.reversed()
                .drop { $0 == " " || $0 == "\t" || $0 == "\r" }.reversed())
    }
}
