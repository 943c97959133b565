// ReplayCommand: `brim-bench replay`: a trace against one server.

internal import ArgumentParser
internal import Load
internal import Report

struct ReplayCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "replay",
        abstract: "Replays a trace against one server and says how it hit.",
        discussion: """
            TRACE is CSV as published with Twitter's cache traces, or libCacheSim's \
            oracleGeneral. Compressed traces come through a pipe:
              zstd -dc cluster52.zst | brim-bench replay - --reference-bytes 64m,1g
            brim-bench trace makes one up.
            """)

    @Argument(help: "The trace's file; - is standard input.")
    var trace: String

    @Argument(help: "HOST:PORT or unix:PATH")
    var target = "127.0.0.1:11211"

    @OptionGroup var options: ReplayOptions

    @Option(help: "The server's process; otherwise whoever listens on the target's port.")
    var serverPid: Int32?

    @Flag(help: "One object of JSON on standard output.")
    var json = false

    @Flag(help: "CSV on standard output: the hit ratios, one line per stretch.")
    var csv = false

    @Flag(help: "No line a second on standard error.")
    var quiet = false

    func run() throws {
        guard !json || !csv else {
            throw ArgumentFault("json and csv: only one of them goes to standard output")
        }
        let plan = try options.plan()
        let target = try Target(parsing: target)
        let reader = try TraceReader(
            trace, format: try options.traceFormat(), recordKeyBytes: options.keyBytes)
        var live = ReplayLive()
        defer { live.end() }
        let outcome = try ReplayRun.perform(
            plan, reader, against: target, server: try ServerChoice.process(serverPid),
            watch: quiet ? nil : { live.show($0) })
        live.end()
        let source = trace == "-" ? "standard input" : trace
        if json {
            Output.show(ReplayObject.object(outcome, plan, target, source).text)
        } else if csv {
            Output.show(ReplayTable.lines(outcome, plan))
        } else {
            Output.show(ReplayText.lines(outcome, plan, target, source))
        }
    }
}

/// Options that become a `ReplayPlan`.
struct ReplayOptions: ParsableArguments {
    @Option(help: "How the trace is written: auto, csv or oracle (oracleGeneral).")
    var format = "auto"

    @Option(help: "Connections; a key always goes over the same one.")
    var clients = 50

    @Option(help: "Requests that a connection has under way, at most 256.")
    var depth = 1

    @Flag(help: "Play the operations as they stand: no set follows a get that misses.")
    var asRecorded = false

    @Option(help: "Seconds of the trace in one: 1, 10, ..., or max, for as fast as it goes.")
    var speed = "max"

    @Option(
        help: "Times to live: scaled (the default, but at max), recorded or ignored.")
    var ttls: String?

    @Option(help: "Trace seconds to live for what the trace gives no time; 0 for ever.")
    var ttl: UInt32 = 0

    @Option(help: "Bytes of a key where the trace does not say.")
    var keyBytes = 16

    @Option(help: "Requests of the trace to play, in place of all.")
    var operations: UInt64?

    @Option(help: "Seconds to play, in place of the whole trace.")
    var seconds: Double?

    @Option(help: "Stretches of the report: requests, such as 100000, or trace seconds: 60s.")
    var interval = "100000"

    @Option(help: "Compare with exact LRUs of so many bytes: a size or several, as 64m,1g.")
    var referenceBytes: String?

    @Option(help: "Bytes that a reference counts for an object besides key and value.")
    var overheadBytes: UInt64 = 56

    @Option(help: "Larger values are not sent, and counted as refused.")
    var valueBytesMax = "1m"

    @Option(help: "Threads of the generator; one more reads the trace.")
    var threads = 1

    @Option(help: "Cores to run on, by number: one, or a list such as 1,3.")
    var cpu = ""

    @Option(help: "Seconds without a reply that is due after which the run fails.")
    var stall = 5.0

    @Flag(help: "Write values that can be checked, and check what comes back.")
    var verify = false

    /// The plan, checked.
    func plan() throws(ArgumentFault) -> ReplayPlan {
        var plan = ReplayPlan()
        plan.clientCount = clients
        plan.depth = depth
        plan.fills = !asRecorded
        plan.speed = try ReplaySpeed(parsing: speed)
        plan.times = plan.speed == .full ? .ignored : .scaled
        if let ttls {
            guard let times = ReplayTimes(rawValue: ttls) else {
                throw ArgumentFault("ttls '\(ttls)' is not scaled, recorded or ignored")
            }
            plan.times = times
        }
        plan.ttlSeconds = ttl
        plan.operationsMax = operations
        plan.secondsMax = seconds
        plan.interval = try ReplayInterval(parsing: interval)
        plan.referenceBytes = try references()
        plan.overheadBytes = overheadBytes
        let limit = try SizeText.bytes(valueBytesMax, of: "value-bytes-max")
        plan.valueBytesMax = Int(clamping: limit)
        plan.threadCount = threads
        plan.cores = try CoreList.parse(cpu, "cpu")
        plan.stallSeconds = stall
        plan.verifies = verify
        guard keyBytes >= 11, keyBytes <= 250 else { throw ArgumentFault("key-bytes: 11 to 250") }
        try plan.check()
        return plan
    }

    func traceFormat() throws(ArgumentFault) -> TraceFormat? {
        guard format != "auto" else { return nil }
        guard let format = TraceFormat(rawValue: format) else {
            throw ArgumentFault("format '\(format)' is not auto, csv or oracle")
        }
        return format
    }

    private func references() throws(ArgumentFault) -> [UInt64] {
        guard let referenceBytes else { return [] }
        var sizes: [UInt64] = []
        for part in referenceBytes.split(separator: ",", omittingEmptySubsequences: false) {
            sizes.append(try SizeText.bytes(part, of: "reference-bytes"))
        }
        return sizes
    }
}
