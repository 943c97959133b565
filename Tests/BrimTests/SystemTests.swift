// SystemTests: what the server asks of the system at start: descriptors, a user, a pid file.

import Foundation
import Glibc
import Primitives
import Server
import Synchronization
import Testing

@Suite struct SystemTests {
    @Test func theDescriptorLimitIsRaisedToFitAndNeverLowered() throws {
        let before = try #require(DescriptorCount.current())
        let small = DescriptorLimit.raise(toFit: 1)
        #expect(small.granted >= before.soft)
        let wanted = before.hard > 4096 ? 2000 : 1
        let result = DescriptorLimit.raise(toFit: wanted)
        #expect(result.isEnough)
        #expect(result.connectionsMax >= wanted)
        #expect(DescriptorCount.current()?.soft == result.granted)
    }

    @Test func aLimitThatCannotBeRaisedSaysHowManyConnectionsFit() async throws {
        await #expect(processExitsWith: .success) {
            let hard = DescriptorLimit.othersMax + 10
            guard DescriptorCount(soft: hard, hard: hard).apply() == 0 else { exit(2) }
            if geteuid() == 0 {
                guard (try? Privileges.drop(to: "nobody")) == true else { exit(3) }
            }
            let result = DescriptorLimit.raise(toFit: 1000)
            guard !result.isEnough, result.connectionsMax == 10 else { exit(4) }
            guard result.granted < result.wanted else { exit(5) }
            exit(0)
        }
    }

    @Test(.enabled(if: geteuid() == 0))
    func rootBecomesAnotherUserForGood() async throws {
        await #expect(processExitsWith: .success) {
            guard (try? Privileges.drop(to: "nobody")) == true else { exit(2) }
            guard let nobody = Account(named: "nobody"), !Account.isRoot else { exit(3) }
            guard getuid() == nobody.userID, getegid() == nobody.groupID else { exit(4) }
            guard setuid(0) != 0, setgid(0) != 0 else { exit(5) }
            guard Account.current() == nobody else { exit(6) }
            exit(0)
        }
    }

    @Test func aUserWhoDoesNotExistIsNamed() {
        #expect(Account(named: "no-such-user") == nil)
        let error = PrivilegesError.noSuchUser("no-such-user")
        #expect("\(error)".contains("no-such-user"))
    }

    @Test func thePidFileHoldsTheProcessNumberUntilItIsRemoved() throws {
        let path = FileManager.default.temporaryDirectory
            .appending(path: "brim-test-\(UUID().uuidString).pid").path
        let file = try PidFile(writingTo: path)
        #expect(try String(contentsOfFile: path, encoding: .utf8) == "\(getpid())\n")
        #expect(!FileManager.default.fileExists(atPath: path + ".new"))
        #expect(file.remove())
        #expect(!FileManager.default.fileExists(atPath: path))
        #expect(!file.remove())
    }

    @Test func thePidFileIsWrittenThroughNoLink() throws {
        let folder = FileManager.default.temporaryDirectory
            .appending(path: "brim-test-\(UUID().uuidString)").path
        try FileManager.default.createDirectory(
            atPath: folder, withIntermediateDirectories: false)
        defer { try? FileManager.default.removeItem(atPath: folder) }
        let (path, other) = (folder + "/brim.pid", folder + "/other")
        try "untouched".write(toFile: other, atomically: false, encoding: .utf8)
        for link in [path, path + ".new"] { #expect(symlink(other, link) == 0) }
        let file = try PidFile(writingTo: path)
        #expect(try String(contentsOfFile: other, encoding: .utf8) == "untouched")
        #expect(try String(contentsOfFile: path, encoding: .utf8) == "\(getpid())\n")
        var status = stat()
        #expect(lstat(path, &status) == 0 && status.st_mode & S_IFMT == S_IFREG)
        #expect(lstat(path + ".new", &status) != 0)
        #expect(file.remove())
        // What a killed process left is no obstacle.
        try "half".write(toFile: path + ".new", atomically: false, encoding: .utf8)
        #expect(try PidFile(writingTo: path).remove())
    }

    @Test func aPidFileThatCannotBeWrittenSaysWhy() {
        let error = #expect(throws: PidFileError.self) {
            try PidFile(writingTo: "/no/such/folder/brim.pid")
        }
        #expect(error?.code == ENOENT)
        #expect(error.map { "\($0)" }?.contains("/no/such/folder/brim.pid: No such file") == true)
    }

    @Test func theLogDropsWhatIsBelowItsThreshold() {
        let lines = Mutex<[String]>([])
        let events = EventLog(threshold: .info) { level, line in
            lines.withLock { $0.append("\(level) \(line)") }
        }
        var made = 0
        func text(_ text: String) -> String {
            made += 1
            return text
        }
        let event = Event("test.event")
        events.write(.trace, event, text("a=1"))
        events.debug(event, text("b=1"))
        events.info(event, text("c=1"))
        events.warning(event, text("d=1"))
        events.error(event, text(""))
        #expect(
            lines.withLock { $0 } == [
                "info test.event c=1", "warning test.event d=1", "error test.event",
            ])
        #expect(made == 3)
    }

    @Test func textInAFieldIsQuotedAndStaysOnItsLine() {
        #expect("a=\(quoted: "plain text")" == #"a="plain text""#)
        #expect("a=\(quoted: "say \"hi\" \\ there")" == #"a="say \"hi\" \\ there""#)
        #expect("a=\(quoted: "one\ntwo\r\nthree")" == #"a="one two three""#)
        #expect("a=\(quoted: "")" == #"a="""#)
    }

    @Test func theSettingsAreCheckedAsAValueToo() throws {
        var settings = Settings()
        #expect(try settings.checked() == (settings, []))
        settings.workers = 0
        let error = #expect(throws: SettingsError.self) { try settings.checked() }
        #expect(error == SettingsError(.threads, allowed: "1 to 128"))
        settings.workers = 2
        settings.memoryBytes = 1
        settings.itemBytesMax = 1024
        let raised = try settings.checked()
        #expect(raised.settings.memoryBytes >= settings.memoryBytesMin)
        #expect(raised.warnings.count == 1)
        settings.listenAddresses = []
        #expect(throws: SettingsError.self) { try settings.checked() }
        settings.unixSocketPath = "/run/b.sock"
        #expect(try settings.checked().settings.unixSocketPath == "/run/b.sock")
    }
}

private func == (
    left: (settings: Settings, warnings: [String]), right: (Settings, [String])
) -> Bool {
    left.settings == right.0 && left.warnings == right.1
}
