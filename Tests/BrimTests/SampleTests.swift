// SampleTests: config/brim.yaml says every setting, and says the defaults.

import Foundation
import Support
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

@Suite struct ManualTests {
    private let manual = packageFolder.appending(path: "docs/operating.md")

    @Test func theManualNamesEveryFlag() throws {
        let text = try String(contentsOf: manual, encoding: .utf8)
        let help = try Brim.run(["-h"]).output
        let flags = help.matches(of: /--[a-z][a-z-]+/).map { String($0.output) }
        #expect(flags.count > 20)
        for flag in flags { #expect(text.contains("`\(flag)`"), "\(flag)") }
    }

    @Test func theManualsRefusedFlagsAreRefused() throws {
        let text = try String(contentsOf: manual, encoding: .utf8)
        let row = try #require(text.firstMatch(of: /\| `([^`]*)` \| refused: not supported yet/)?.1)
        let flags = row.split(separator: " ").map(String.init)
        #expect(flags.count >= 3)
        for flag in flags {
            let run = try Brim.run([flag, "--check-config"])
            #expect(run.exitCode == 64)
            #expect(run.errors.contains("\(flag) (") && run.errors.contains("not supported yet"))
        }
    }
}
