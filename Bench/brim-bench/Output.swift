// Output: lines on standard output, out at once also into a pipe.

internal import Primitives

enum Output {
    /// Writes lines; what a closed pipe does not take is lost.
    static func show(_ lines: [String]) {
        _ = TextFile.writeToStandardOutput(lines.map { $0 + "\n" }.joined())
    }

    static func show(_ line: String) { show([line]) }
}
