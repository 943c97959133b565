// SampleTests: config/brim.yaml says every setting, and says the defaults.

import Foundation
import Testing

private let sample = packageFolder.appending(path: "config/brim.yaml")

@Suite struct SampleTests {
    @Test func theSampleParsesToTheDefaults() throws {
        let run = try Brim.check("--config \(sample.path)")
        #expect(run.exitCode == 0, "\(run.errors)")
        #expect(run.complaints.isEmpty)
        #expect(try run.output == Brim.check("").output)
    }

    @Test func theSampleNamesEverySettingWithAComment() throws {
        let lines = try String(contentsOf: sample, encoding: .utf8)
            .split(separator: "\n", omittingEmptySubsequences: false)
        let names = lines.filter { !$0.hasPrefix("#") && !$0.isEmpty }
            .map { String($0.prefix { $0 != ":" }) }
        let reported = try Set(Brim.check("").settings.keys)
        #expect(Set(names) == reported.union(["port", "udp-port", "no-store"]))
        for (index, line) in lines.enumerated() where !line.hasPrefix("#") && !line.isEmpty {
            #expect(index > 0 && lines[index - 1].hasPrefix("# "), "\(line) has no comment")
        }
    }
}
