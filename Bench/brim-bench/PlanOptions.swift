// PlanOptions: the options that describe a load, shared by all subcommands.

internal import ArgumentParser
internal import Load

/// Options that become a `LoadPlan`.
struct PlanOptions: ParsableArguments {
    @Option(help: "Connections.")
    var clients = 50

    @Option(help: "Requests that a connection has under way.")
    var depth = 1

    @Option(help: "Different keys.")
    var keys: UInt64 = 1_000_000

    @Option(help: "Bytes of a key: N, MIN-MAX, etc or exponential:MEAN.")
    var keyBytes = "32"

    @Option(help: "Bytes of a value: N, MIN-MAX, etc or exponential:MEAN.")
    var valueBytes = "100"

    @Option(help: "Commands and weights: get, set, delete, touch, incr, decr, add, gat.")
    var mix = "get"

    @Option(help: "Keys in a get; each counts as an operation.")
    var multiget = 1

    @Option(
        help: """
            Which keys: uniform, sequential, zipf:EXPONENT, gaussian:DEVIATION, \
            hotspot:REQUESTS:KEYS or scan:REQUESTS:KEYS (in percent).
            """)
    var distribution = "uniform"

    @Option(help: "Seconds until what is set expires: N or MIN-MAX; 0 for never.")
    var ttl = "0"

    @Option(help: "Share of the gets, 0 to 1, that go to keys which are never set.")
    var missRatio = 0.0

    @Flag(help: "Look-aside: a key that a get missed is set next, on the same connection.")
    var setOnMiss = false

    @Option(help: "Requests until a connection is closed and opened again; 0 for never.")
    var requestsPerConnection: UInt64 = 0

    @Option(help: "Seconds to measure.")
    var seconds: Double?

    @Option(help: "Operations to measure, in place of seconds.")
    var operations: UInt64?

    @Option(help: "Seconds before anything is counted; 1, or 0 with a number of operations.")
    var warmup: Double?

    @Option(help: "Threads of the generator.")
    var threads = 1

    @Option(help: "The same seed asks for the same keys in the same order.")
    var seed: UInt64 = 1

    @Option(help: "Cores to run on, by number: one, or a list such as 1,3.")
    var cpu = ""

    @Option(help: "When a connection sends again: batch (all replies are in) or window (any is).")
    var refill = "batch"

    @Option(name: .customLong("protocol"), help: "How requests are worded: classic, meta, binary.")
    var wireProtocol = "classic"

    @Option(help: "Seconds without a reply that is due, or an accept, after which the run fails.")
    var stall = 5.0

    @Flag(help: "Write values that can be checked, and check what comes back.")
    var verify = false

    @OptionGroup var pacing: PacingOptions

    /// The plan, checked.
    func plan() throws(ArgumentFault) -> LoadPlan {
        var plan = LoadPlan()
        plan.clientCount = clients
        plan.depth = depth
        plan.keyCount = keys
        plan.keyBytes = try SizeDistribution(
            parsing: keyBytes, option: "key-bytes", etc: .etcKeys)
        plan.valueBytes = try SizeDistribution(
            parsing: valueBytes, option: "value-bytes", etc: .etcValues)
        plan.mix = try CommandMix(parsing: mix)
        plan.keysPerGet = multiget
        plan.distribution = try KeyDistribution(parsing: distribution)
        plan.ttl = try TimeToLive(parsing: ttl)
        plan.missRatio = missRatio
        plan.setsOnMiss = setOnMiss
        plan.requestsPerConnection = requestsPerConnection
        guard seconds == nil || operations == nil else {
            throw ArgumentFault("seconds and operations: only one of them can end a run")
        }
        plan.length = operations.map { .operations($0) } ?? .seconds(seconds ?? 5)
        plan.warmupSeconds = warmup ?? (operations == nil ? 1 : 0)
        plan.threadCount = threads
        plan.seed = seed
        plan.cores = try CoreList.parse(cpu, "cpu")
        guard let refill = Refill(rawValue: refill) else {
            throw ArgumentFault("refill '\(refill)' is not batch or window")
        }
        plan.refill = refill
        guard let wireProtocol = WireProtocol(rawValue: wireProtocol) else {
            throw ArgumentFault("protocol '\(wireProtocol)' is not classic, meta or binary")
        }
        plan.wireProtocol = wireProtocol
        plan.stallSeconds = stall
        plan.verifies = verify
        try pacing.apply(to: &plan)
        try plan.check()
        return plan
    }
}
