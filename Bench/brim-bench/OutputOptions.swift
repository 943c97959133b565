// OutputOptions: in which forms a result is shown: words, JSON or CSV on standard output, and
// files.

internal import ArgumentParser
internal import Load
internal import Primitives
internal import Report

/// Options shared by everything that measures.
struct OutputOptions: ParsableArguments {
    @Flag(help: "One object of JSON on standard output.")
    var json = false

    @Flag(help: "CSV on standard output: one line per command and run.")
    var csv = false

    @Option(help: "A file for a page that shows everything; it needs nothing else to be read.")
    var html: String?

    @Option(help: "A file for the page's first plot alone.")
    var svg: String?

    @Option(
        help: ArgumentHelp(
            "Files for the percentiles, in HdrHistogram's format.",
            discussion: "Named PATH.COMMAND, and PATH.TARGET.COMMAND in a comparison."))
    var hdr: String?

    /// Whether words go to standard output.
    var isWordy: Bool { !json && !csv }

    func validate() throws {
        guard !json || !csv else {
            throw ValidationError("json and csv: only one of them goes to standard output")
        }
    }

    /// Writes the files that were asked for, and says where, unless only a program listens.
    func write(_ report: Report) throws(ArgumentFault) {
        if let html { try write(PageText.page(report), to: html, "html") }
        if let svg { try write(PageText.firstPlot(report), to: svg, "svg") }
        if let hdr {
            for file in PercentileFiles.files(report, path: hdr) {
                try write(file.text, to: file.path, "hdr")
            }
        }
    }

    private func write(_ text: String, to path: String, _ option: String) throws(ArgumentFault) {
        let code = TextFile.replace(path, with: text)
        guard code == 0 else { throw ArgumentFault("\(option): \(path): \(errorText(code))") }
        if isWordy {
            let label = NumberText.padded(option, 11, isLeading: false)
            Output.show(PlainText.wrapped("written to \(path)", label: label))
        }
    }
}
