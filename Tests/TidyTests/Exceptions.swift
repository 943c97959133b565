// Exceptions: what the rules for the whole package pass over, each with its reason.
//
// A list gets shorter by itself only where a test says so: the counts of `manyFields` may shrink
// and must then be lowered here, until the type needs no exception.

enum Exceptions {
    /// Types with more stored fields than one can hold in mind. They wait to be cut into parts.
    static let manyFields = [
        "Server.Worker": 32,
        // A line for each number that `stats` tells of the store.
        "Store.StoreStatistics": 61,
        "Load.RunWorker": 33,
    ]

    /// Words that comments name and that are no names of the code.
    static let outsideNames: Set<String> = [
        // What the names of environment variables begin with.
        "BRIM_",
        // Answers of memcached's meta commands, which the encoder and the parser know as numbers.
        "HD", "VA", "EN", "NS", "NF", "EX",
    ]

    /// Names that libraries ask for, and that nothing here calls.
    static let demandedNames: Set<String> = [
        // swift-nio, of the handlers of a connection.
        "InboundIn", "OutboundOut", "channelRead", "handlerAdded", "channelInactive",
        "errorCaught",
        // ArgumentParser, before a command runs.
        "validate",
        // The compiler, for each value in a text of a type's own; and for `for`.
        "appendInterpolation", "makeIterator",
    ]
}
