// ReplayLive: how a replay goes, once a second, on standard error: results stay clean.

internal import Glibc
internal import Load
internal import Primitives
internal import Report

/// The live line of a replay: written over on a terminal, a line of its own elsewhere.
struct ReplayLive {
    private let isTerminal = isatty(2) == 1
    private var last = ReplayProgress()
    private var isShown = false

    mutating func show(_ progress: ReplayProgress) {
        let line = Self.line(progress, since: last)
        last = progress
        isShown = true
        TextFile.writeToStandardError(isTerminal ? "\r\u{1B}[K\(line)" : line + "\n")
    }

    /// Takes the line away again.
    mutating func end() {
        if isShown, isTerminal { TextFile.writeToStandardError("\r\u{1B}[K") }
        isShown = false
    }

    /// A second in words, in at most 79 columns.
    static func line(_ progress: ReplayProgress, since last: ReplayProgress) -> String {
        let seconds = max(progress.seconds - last.seconds, 0.001)
        let rate = Double(progress.requests &- last.requests) / seconds
        let gets = progress.gets &- last.gets
        var line =
            "\(NumberText.fixed(progress.seconds, 0)) s  "
            + "\(NumberText.grouped(progress.requests)) requests, "
            + "\(NumberText.grouped(UInt64(rate))) a second"
        if gets > 0 {
            let ratio = Double(progress.hits &- last.hits) / Double(gets)
            line += ", hits \(NumberText.fixed(ratio * 100, 1)) %"
        }
        return line
    }
}
