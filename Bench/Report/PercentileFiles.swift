// PercentileFiles: the percentiles of each command in HdrHistogram's own text format (.hgrm).

internal import Load

public enum PercentileFiles {
    /// Files by path: PATH.COMMAND of a single run; PATH.TARGET.COMMAND of a comparison, its
    /// rounds together; PATH.LOAD.TARGET.COMMAND of several.
    public static func files(_ report: Report, path: String) -> [(path: String, text: String)] {
        var files: [(path: String, text: String)] = []
        for section in report.sections {
            for target in section.comparison.targets {
                let latencies = Report.latencies(target.outcomes)
                for command in section.commands {
                    let text = latencies.percentileFile(of: command)
                    guard !text.isEmpty else { continue }
                    var parts = [path]
                    if report.sections.count > 1 { parts.append(fileName(section.title)) }
                    if section.names.count > 1 { parts.append(fileName(target.name)) }
                    files.append(((parts + [command.name]).joined(separator: "."), text))
                }
            }
        }
        return files
    }

    /// Letters, digits and dots stay; all else is a hyphen.
    private static func fileName(_ text: String) -> String {
        String(
            text.map { $0.isASCII && ($0.isLetter || $0.isNumber || $0 == ".") ? $0 : "-" })
    }
}
