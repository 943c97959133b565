// brim-yardstick: prints how many misses Brim's memory tier has beside an exact LRU of the same
// memory, load by load. A command for whoever changes the eviction; counts, no timings.

internal import ArgumentParser
internal import Glibc
internal import Yardstick

struct YardstickCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "brim-yardstick",
        abstract: "Counts the misses of Brim's memory tier beside those of an exact LRU.")

    @Option(help: "Memory of the store and of the LRU, in MiB.") var memory = 16
    @Option(help: "Workers that take turns.") var workers = 1
    @Option(help: "Requests, as a multiple of the entries that memory holds.") var rounds = 40
    @Option(help: "The seed of the requests.") var seed: UInt64 = 1
    @Option(help: "Shares of the objects that fit, in percent.") var share: [Int] = [5, 20]
    @Option(help: "Only loads whose name contains this.") var load = ""
    @Flag(help: "Print what the store says of itself.") var verbose = false

    func run() throws {
        let columns = ["share", "LRU", "LRU+56", "Brim", "/LRU", "/LRU+56", "items/LRU's"]
        print(Self.line("load", columns))
        var worst = 0.0
        for workload in Workload.all where load.isEmpty || workload.name.contains(load) {
            for percent in share {
                let verdict = try Trial(
                    workload, memoryBytes: memory << 20, sharePercent: percent, workers: workers,
                    rounds: rounds, seed: seed
                ).run()
                worst = max(worst, verdict.ratio)
                print(
                    Self.line(
                        workload.name,
                        [
                            "\(percent) %", Self.decimal(verdict.missRatio(verdict.strictMisses)),
                            Self.decimal(verdict.missRatio(verdict.classedMisses)),
                            Self.decimal(verdict.missRatio(verdict.brimMisses)),
                            Self.decimal(verdict.ratio), Self.decimal(verdict.classedRatio),
                            Self.decimal(
                                Double(verdict.brimItems) / Double(max(verdict.lruItems, 1))),
                        ]))
                if verbose { print("    \(verdict.notes)") }
                fflush(nil)
            }
        }
        print("worst ratio to the LRU: \(Self.decimal(worst))")
    }

    private static func line(_ name: String, _ columns: [String]) -> String {
        let padding = String(repeating: " ", count: max(28 - name.count, 1))
        return name + padding
            + columns.map { String(repeating: " ", count: max(12 - $0.count, 1)) + $0 }.joined()
    }

    /// Three decimals.
    private static func decimal(_ value: Double) -> String {
        let thousandths = Int((value * 1000).rounded())
        let digits = String(thousandths % 1000)
        return "\(thousandths / 1000)."
            + String(repeating: "0", count: 3 - digits.count) + digits
    }
}

YardstickCommand.main()
