// TraceCommand: `brim-bench trace`: a made-up trace for those who have none.

internal import ArgumentParser
internal import Load
internal import Report

struct TraceCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "trace",
        abstract: "Writes a made-up trace in libCacheSim's oracleGeneral format.",
        discussion: """
            A scan over a million objects beside a hot set, some 120 MB:
              brim-bench trace scan.oracleGeneral --requests 5000000 --scan 0.3
            """)

    @Argument(help: "The file; - is standard output.")
    var path: String

    @Option(help: "Requests of the trace.")
    var requests: UInt64 = 1_000_000

    @Option(help: "Objects that the distribution asks for.")
    var objects: UInt64 = 100_000

    @Option(help: "Which of them: uniform, zipf:EXPONENT or another one of `run`.")
    var distribution = "zipf:0.99"

    @Option(help: "Part of the requests that scan further objects, in order: 0 to 1.")
    var scan = 0.0

    @Option(help: "Objects of the scan, after which it begins again.")
    var scanObjects: UInt64 = 1_000_000

    @Option(help: "Bytes of an object, key and value: one number, or two such as 100-10000.")
    var sizes = "100-10000"

    @Option(help: "Requests in a second of the trace.")
    var rate: UInt64 = 10_000

    @Option(help: "The same seed makes the same trace.")
    var seed: UInt64 = 1

    func run() throws {
        var recipe = TraceRecipe()
        recipe.requestCount = requests
        recipe.objectCount = objects
        recipe.distribution = try KeyDistribution(parsing: distribution)
        recipe.scanShare = scan
        recipe.scanObjectCount = scanObjects
        recipe.sizes = try TraceSizes(parsing: sizes)
        recipe.rate = rate
        recipe.seed = seed
        try recipe.check()
        try TraceWriter.write(recipe, to: path)
    }
}
