// InterposerTests: the interposers do what their heads say, and what LMDB does under them: power
// cuts, failing disks, counted allocations.

import Glibc
import LMDB
import Testing

@Suite(.serialized) struct Interposers {
    private var built: String { interposers + "/.build" }

    private func recorded(_ scratch: Scratch, commits: Int) -> Outcome {
        let notes = scratch.path + "/notes"
        return run(
            [probe, "write", scratch.subdirectory("store"), "\(commits)", "1", notes],
            environment: [
                "LD_PRELOAD": built + "/powercut.so", "POWERCUT_DIR": scratch.path + "/store",
                "POWERCUT_LOG": scratch.path + "/record", "POWERCUT_NOTES": notes,
            ])
    }

    private func checked(_ scratch: Scratch, rounds: Int, _ more: [String] = []) -> Outcome {
        run(
            [
                "python3", interposers + "/powercut.py", "check", scratch.path + "/record",
                "--rounds", "\(rounds)", "--seed", "7", "--folder", scratch.path,
                "--command", "'\(probe)' verify {image} {note}",
            ] + more)
    }

    @Test func everyPowerCutLeavesWhatWasCommitted() {
        let scratch = Scratch()
        #expect(recorded(scratch, commits: 60).code == 0)
        let outcome = checked(scratch, rounds: 400)
        #expect(outcome.code == 0, "\(outcome.output)")
    }

    /// Were the syncs left out, the same check would fail: it can.
    @Test func powerCutsHurtWithoutSyncs() {
        let scratch = Scratch()
        #expect(recorded(scratch, commits: 30).code == 0)
        let outcome = checked(scratch, rounds: 100, ["--without-syncs"])
        #expect(outcome.code == 1 && outcome.output.contains("again: powercut.py image"))
    }

    @Test func everyKindOfChangeIsRecorded() {
        let scratch = Scratch()
        let folder = scratch.subdirectory("files")
        let outcome = run(
            [built + "/samples", "write", folder],
            environment: [
                "LD_PRELOAD": built + "/powercut.so", "POWERCUT_DIR": folder,
                "POWERCUT_LOG": scratch.path + "/record",
                "POWERCUT_NOTES": scratch.path + "/notes",
            ])
        #expect(outcome.code == 0)
        let events = run(
            ["python3", interposers + "/powercut.py", "events", scratch.path + "/record"])
        let lines = events.output.split(separator: "\n").map {
            $0.split(separator: " ").dropFirst().prefix(4).joined(separator: " ")
        }
        #expect(
            lines == [
                "create first 0 0", "write first 0 10", "write first 10 7", "write first 4 2",
                "sync first 0 0", "write first 100 7", "truncate first 105 0", "write! first 0 1",
                "rename first 0 6", "sync-folder . 0 0", "note 0 5", "unlink second 0 0",
            ])
        // Before the unlink: all up to the sync is certain, and so is the synchronous write.
        let image = run([
            "python3", interposers + "/powercut.py", "image", scratch.path + "/record",
            scratch.path + "/image", "--cut", "11",
        ])
        #expect(image.output == "done\n")
        #expect(
            readFile(scratch.path + "/image/second", 0, 17) == Array("D123PP6789abcdefg".utf8)
                || access(scratch.path + "/image/second", F_OK) != 0)
    }

    @Test func faultsComeAndGoWhileAProgramRuns() {
        let scratch = Scratch()
        let outcome = run(
            [probe, "fault", scratch.subdirectory("store"), scratch.path + "/control"],
            environment: [
                "LD_PRELOAD": built + "/faults.so", "FAULTS_DIR": scratch.path + "/store",
                "FAULTS_CONTROL": scratch.path + "/control",
            ])
        #expect(
            outcome.output == """
                write enospc: no space left
                healed: ok
                write eio: Input/output error
                healed: ok
                write short 512: Input/output error
                healed: ok
                sync eio: Input/output error
                healed: ok
                write enospc after=1: no space left
                healed: ok
                meta: Input/output error
                healed: a write failed earlier, reopen
                reopened: ok
                commit 9

                """)
        let verified = run([probe, "verify", scratch.path + "/store"])
        #expect(verified.output == "commit 9\n")
    }

    @Test func faultsHitOnlyWhatTheirRuleNames() {
        let scratch = Scratch()
        let folder = scratch.subdirectory("files")
        func results(_ rules: String) -> [Substring] {
            writeFile(scratch.path + "/control", Array(rules.utf8))
            let outcome = run(
                [built + "/samples", "write", folder],
                environment: [
                    "LD_PRELOAD": built + "/faults.so", "FAULTS_DIR": folder,
                    "FAULTS_CONTROL": scratch.path + "/control",
                ])
            return outcome.output.split(separator: "\n")
        }
        let sound = results("")
        #expect(sound.filter { $0.contains("-1") } == [])
        #expect(results("write eio file=second\nsync eio file=second") == sound)
        let short = results("write short 3 after=1 times=1\nread short 2")
        #expect(short.contains("writev 3 ") && short.contains("write 10 "))
        #expect(short.contains("pread 2 ") && short.contains("pwritev 7 "))
        let failing = results("write enospc below=8\ntruncate eio\nopen erofs file=third")
        #expect(failing.contains("write -1 No space left on device"))
        #expect(failing.contains("pwritev 7 "))
        #expect(failing.contains("ftruncate -1 Input/output error"))
        var start = timespec()
        var end = timespec()
        clock_gettime(CLOCK_MONOTONIC, &start)
        #expect(results("sync stall 200 times=1") == sound)
        clock_gettime(CLOCK_MONOTONIC, &end)
        let waited = (end.tv_sec - start.tv_sec) * 1000 + (end.tv_nsec - start.tv_nsec) / 1_000_000
        #expect(waited >= 200)
        #expect(results("open erofs").first == "open -1 Read-only file system")
    }

    @Test func allocationsOfTheNamedThreadsAreCounted() {
        let scratch = Scratch()
        let variables = [
            "LD_PRELOAD": built + "/allocations.so", "ALLOCATIONS_OUT": scratch.path + "/out",
            "ALLOCATIONS_CONTROL": scratch.path + "/control",
        ]
        func total(_ arguments: [String], _ more: [String: String] = [:]) -> Substring? {
            let all = variables.merging(more) { $1 }
            #expect(run(arguments, environment: all).code == 0)
            let text = String(decoding: wholeFile(scratch.path + "/out"), as: UTF8.self)
            return text.split(separator: "\n").last
        }
        func holds(_ line: Substring?, _ counts: [String: Int]) {
            for (name, count) in counts {
                #expect(line?.contains("\"\(name)\":\(count),") == true, "\(name): \(line ?? "")")
            }
        }
        let samples = built + "/samples"
        holds(
            total([samples, "allocate", scratch.path + "/control"]),
            ["malloc": 1000, "calloc": 7, "realloc": 1000, "free": 1007])
        holds(
            total([samples, "allocate", "signals"], ["ALLOCATIONS_CONTROL": "/dev/null"]),
            ["malloc": 1000, "calloc": 7])
        holds(
            total([samples, "allocate", scratch.path + "/control"], ["ALLOCATIONS_THREADS": ""]),
            ["calloc": 14, "realloc": 2000])
        // How many there are is the optimiser's business: at least one per round.
        let churned = total([probe, "churn", scratch.path + "/control"])
        for name in ["swift_allocObject", "swift_retain", "swift_release", "swift_beginAccess"] {
            let count = churned?.text(after: "\"\(name)\":").prefix { $0.isNumber }
            #expect(Int(count ?? "") ?? 0 >= 1000, "\(name): \(churned ?? "")")
        }
    }
}

extension Substring {
    /// What follows the first `marker`; empty without one.
    fileprivate func text(after marker: String) -> Substring {
        var rest = self
        while !rest.isEmpty, !rest.hasPrefix(marker) { rest = rest.dropFirst() }
        return rest.dropFirst(marker.count)
    }
}
