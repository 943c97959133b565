// BenchCommand: the subcommands, and how an error becomes a line and an exit code.

internal import ArgumentParser
internal import Load
internal import Primitives
internal import Report

/// `brim-bench`.
struct BenchCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "brim-bench",
        abstract: "Measures memcached-compatible servers.",
        discussion: """
            Fill a server, then load it:
              brim-bench fill 127.0.0.1:11211
              brim-bench run 127.0.0.1:11211 --depth 16 --mix get=90,set=10
            Ask at a rate, whatever the server does, or find the rate that it can take:
              brim-bench run 127.0.0.1:11211 --depth 16 --rate 50000
              brim-bench sweep 127.0.0.1:11211 --depth 16 --p99-limit 1000

            --workload FILE takes options from a file (Bench/workloads has some); \
            --preset NAME takes those of a published shape: \
            \(Preset.all.map(\.name).joined(separator: ", ")). Other options count more.

            Exit codes: 0 measured; 1 the server answered wrongly, closed, stalled, was \
            too slow at every rate or could not be reached; 64 the arguments make no sense.
            """,
        subcommands: [
            RunCommand.self, FillCommand.self, CompareCommand.self, SuiteCommand.self,
            SweepCommand.self, ReplayCommand.self, TraceCommand.self, FloorCommand.self,
        ])

    /// Sysexits: a command used wrongly.
    static let usageExitCode: Int32 = 64

    /// Performs what the arguments say. Returns the exit code of the process.
    static func perform(_ arguments: [String]) -> Int32 {
        do {
            // A suite expands the arguments of each of its loads itself.
            let isSuite = arguments.first == SuiteCommand.configuration.commandName
            var command = try parseAsRoot(
                isSuite ? arguments : try WorkloadFile.expand(arguments))
            try command.run()
            return 0
        } catch let failure as LoadFailure {
            complain("\(failure)")
            return 1
        } catch let failures as TargetsFailed {
            failures.texts.forEach(complain)
            return 1
        } catch let fault as ArgumentFault {
            complain("\(fault)")
            return usageExitCode
        } catch {
            guard exitCode(for: error) != .success else {
                Output.show(fullMessage(for: error))
                return 0
            }
            complain("\(message(for: error)) (brim-bench --help lists what there is)")
            return usageExitCode
        }
    }

    private static func complain(_ text: String) {
        let line = PlainText.printable(
            text.split(whereSeparator: \.isNewline).joined(separator: " "))
        TextFile.writeToStandardError("brim-bench: \(line)\n")
    }
}
