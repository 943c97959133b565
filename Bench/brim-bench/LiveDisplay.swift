// LiveDisplay: how a run goes, once a second, on standard error: results stay clean.
//
// On a terminal one line with a progress bar is written over; it vanishes when the run ends. Into
// a pipe or a file each second is a line of its own.

internal import ArgumentParser
internal import Load
internal import Primitives
internal import Report

/// The live line of one run.
struct LiveDisplay {
    static let quietHelp = ArgumentHelp("No line a second on standard error.")
    static let barCount = 16

    private let isTerminal: Bool
    private let columnCount: Int

    private init() {
        isTerminal = Terminal.isTerminal(Terminal.standardError)
        columnCount = Terminal.columnCount(Terminal.standardError) ?? 80
    }

    /// Performs a run, and shows it meanwhile.
    static func during<Result>(
        isQuiet: Bool, _ run: (((RunProgress) -> Void)?) throws -> Result
    ) throws -> Result {
        guard !isQuiet else { return try run(nil) }
        let display = LiveDisplay()
        defer { if display.isTerminal { TextFile.writeToStandardError("\r\u{1B}[K") } }
        return try run { display.show($0) }
    }

    private func show(_ progress: RunProgress) {
        guard isTerminal else {
            return TextFile.writeToStandardError(Self.line(progress) + "\n")
        }
        // One column less than there are: a full line would begin another.
        let line = Self.bar(progress.part) + " " + Self.line(progress)
        TextFile.writeToStandardError("\r\u{1B}[K" + String(line.prefix(columnCount - 1)))
    }

    /// A second in words, in at most 83 columns up to a thousand million operations a second.
    static func line(_ progress: RunProgress) -> String {
        let point = progress.point
        let name = progress.isWarmUp ? "warm-up " : ""
        var line =
            "\(name)\(NumberText.fixed(progress.seconds, 0)) s  "
            + "\(NumberText.grouped(point.operationsPerSecond)) ops/s"
        if let p50 = point.p50, let p99 = point.p99 {
            line += "  p50 \(NumberText.short(p50)) p99 \(NumberText.short(p99)) us"
        }
        let keys = point.hits &+ point.misses
        if keys > 0 {
            line += "  hits \(NumberText.fixed(Double(point.hits) / Double(keys) * 100, 1)) %"
        }
        line += "  errors \(point.errors)"
        if let share = point.serverShare {
            line += "  server \(NumberText.fixed(share * 100, 0)) %"
        }
        return line
    }

    static func bar(_ part: Double) -> String {
        let filled = Int((min(max(part, 0), 1) * Double(barCount)).rounded())
        return "[" + String(repeating: "#", count: filled)
            + String(repeating: "-", count: barCount - filled) + "]"
    }
}
