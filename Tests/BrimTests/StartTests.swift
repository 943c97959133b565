// StartTests: what an operator sees in the first moment, before the server serves.

import Foundation
import Glibc
import Support
import Testing

@Suite struct StartTests {
    @Test func rootIsWarnedUnlessAUserIsNamed() throws {
        let isRoot = geteuid() == 0
        let warning = "running as root"
        #expect(try Brim.check("").errors.contains(warning) == isRoot)
        #expect(try !Brim.check("-u nobody").errors.contains(warning))
    }

    @Test(.enabled(if: geteuid() == 0))
    func theStoreOfAnotherUserLiesInThatUsersHome() throws {
        let run = try Brim.check("-u nobody", environment: ["HOME": "/h", "XDG_STATE_HOME": "/s"])
        #expect(run.settings["user"] == "nobody")
        #expect(run.settings["store"]?.hasPrefix("/h") == false)
        #expect(run.settings["store"]?.hasPrefix("/s") == false)
    }

    @Test(.enabled(if: geteuid() != 0))
    func aUserIsIgnoredUnlessRoot() throws {
        #expect(try Brim.check("-u root").errors.contains("ignored: not started as root"))
    }

    @Test func aStoreThatIsSmallerThanMemoryIsSaid() throws {
        let warning = "store-size 64m is less than memory-limit 65"
        let store = "--store /nonexistent/s --store-size 64m"
        #expect(try Brim.check("-m 65 \(store)").errors.contains(warning))
        #expect(try !Brim.check("-m 64 \(store)").errors.contains("store-size"))
        #expect(try !Brim.check("-m 8192 --no-store").errors.contains("store-size"))
    }

    @Test func logLinesCarryTimeAndLevel() throws {
        // An address of nobody's (RFC 5737) ends the server at once, with lines in its log.
        let run = try Brim.run(["-n", "1", "-l", "203.0.113.1:9", "--no-store"])
        #expect(run.exitCode != 0)
        let stamp = /\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z (trace|debug|info|warning|error) \S.*/
        for line in run.errors.split(separator: "\n") {
            #expect(line.wholeMatch(of: stamp) != nil, "\(line)")
        }
        #expect(
            run.errors.contains(
                "Z warning settings.warning text=\"-n has no effect: it is for slabs"))
        #expect(run.errors.contains("Z error server.failed exit_code=71 reason=\""))
    }

    @Test func aLogReaderThatWentAwayDoesNotEndTheProcess() throws {
        let child = try Child.run(
            Brim.executable.path, ["--check-config", "-n", "1"], environment: ["HOME": "/h"],
            keepsErrors: false)
        #expect(child.exitCode == 0)
    }
}
