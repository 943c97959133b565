// WorkerBenchmarks: requests on their whole way through a worker: received, parsed, hashed, found
// or written, answered, sent. 50 connections with 16 requests each, as in the comparisons.
//
// What the kernel does is not in the counts, what it costs to ask for it is.

internal import Primitives
internal import Server
internal import Store
internal import Uring

/// Why there is no count.
enum WholeWayError: Error {
    case refused
    /// So many bytes came back, instead of so many.
    case answered(Int, expected: Int)
}

/// A worker, its connections, and room for what passes there.
struct WholeWay: ~Copyable {
    private static let connections = 50
    private static let depth = 16
    private static let requests = connections * depth
    /// More than are needed to receive, and to send.
    private static let turns = 4

    private var worker: SteppedWorker
    private let peers: [Socket]
    private let region: Region
    private let keys: Keys

    static func run(_ meter: inout Meter, _ keys: Keys) throws {
        var way = try WholeWay(keys)
        let stored = "STORED\r\n".utf8.count
        let value =
            "VALUE  0 100\r\n\r\nEND\r\n".utf8.count + Keys.keyBytes + Keys.valueBytes
        // What is done for the first time is done before.
        try way.ask(5000, replyBytes: stored) { keys.set($0, to: &$1) }
        try way.measure("set, whole way, new key", &meter, 0, stored) { keys.set($0, to: &$1) }
        try way.measure("set, whole way, in place", &meter, 0, stored) { keys.set($0, to: &$1) }
        try way.ask(5000, replyBytes: value) { keys.get($0, to: &$1) }
        try way.measure("get, whole way", &meter, 0, value) { keys.get($0, to: &$1) }
        try measureMetaGets(&way, &meter, keys)
        try measureCounted(&meter, keys)
    }

    private static func measureMetaGets(
        _ way: inout WholeWay, _ meter: inout Meter, _ keys: Keys
    ) throws {
        let value = "VA 100\r\n\r\n".utf8.count + Keys.valueBytes
        try way.measure("meta get, whole way", &meter, 0, value) {
            keys.metaGet($0, "v", to: &$1)
        }
        let key = " k".utf8.count + Keys.keyBytes
        try way.measure("meta get with key", &meter, 0, value + key) {
            keys.metaGet($0, "k v", to: &$1)
        }
        let told = " f0 t-1 s100 k O1".utf8.count + Keys.keyBytes
        try way.measure("meta get with flags", &meter, 0, value + told) {
            keys.metaGet($0, "f v t s k O1", to: &$1)
        }
        try way.measure("meta get, miss", &meter, 9000, "EN\r\n".utf8.count) {
            keys.metaGet($0, "v", to: &$1)
        }
    }

    /// Gets each of which counts its key among the hot ones, where it displaces another.
    private static func measureCounted(_ meter: inout Meter, _ keys: Keys) throws {
        var way = try WholeWay(keys, keySampling: 1)
        // A connection has one of these in a turn, and the next when the reply has left.
        try way.ask(0, turns: Self.turns * Self.depth, replyBytes: "OK\r\n".utf8.count) {
            $1.append("stats hotkeys on\r\n")
        }
        try way.ask(0, replyBytes: "STORED\r\n".utf8.count) { keys.set($0, to: &$1) }
        let value =
            "VALUE  0 100\r\n\r\nEND\r\n".utf8.count + Keys.keyBytes + Keys.valueBytes
        try way.ask(0, replyBytes: value) { keys.get($0, to: &$1) }
        try way.measure("get, key counted", &meter, 0, value) { keys.get($0, to: &$1) }
    }

    private init(_ keys: Keys, keySampling: Int = SharedState.keySampling) throws {
        let region = try Region.map(byteCount: 64 << 10)
        let store = try SteppedStore(
            memoryBytes: 64 << 20, workers: 1, itemBytesMax: 1 << 20, seed: 1)
        var worker = try SteppedWorker(
            store: store, connectionsMax: Self.connections + 8, keySampling: keySampling)
        var peers: [Socket] = []
        for _ in 0..<Self.connections {
            let (own, other) = try Socket.pair()
            guard worker.adopt(own) else { throw WholeWayError.refused }
            peers.append(other)
        }
        for _ in 0..<Self.turns { try worker.turn() }
        self.keys = keys
        self.region = region
        self.peers = peers
        self.worker = worker
    }

    /// One round; what the worker does in it is measured.
    private mutating func measure(
        _ name: String, _ meter: inout Meter, _ first: Int, _ replyBytes: Int,
        _ write: (Int, inout ByteWriter) -> Void
    ) throws {
        try send(first, write)
        meter.begin()
        try turn()
        meter.end(name, operations: Self.requests)
        try receive(replyBytes)
    }

    private mutating func ask(
        _ first: Int, turns: Int = Self.turns, replyBytes: Int,
        _ write: (Int, inout ByteWriter) -> Void
    ) throws {
        try send(first, write)
        try turn(turns)
        try receive(replyBytes)
    }

    @inline(never)
    private mutating func turn(_ count: Int = Self.turns) throws {
        for _ in 0..<count { try worker.turn() }
    }

    private func send(_ first: Int, _ write: (Int, inout ByteWriter) -> Void) throws {
        var number = first
        for peer in peers {
            var writer = ByteWriter(region, at: 0, capacity: region.byteCount)
            for _ in 0..<Self.depth {
                write(number, &writer)
                number += 1
            }
            let sent = peer.send(from: region, at: 0, count: writer.count)
            guard sent == writer.count else {
                throw WholeWayError.answered(sent, expected: writer.count)
            }
        }
    }

    private func receive(_ replyBytes: Int) throws {
        for peer in peers {
            peer.setReceiveTimeout(milliseconds: 1000)
            let got = peer.receive(into: region, at: 0, count: region.byteCount)
            guard got == Self.depth * replyBytes else {
                throw WholeWayError.answered(got, expected: Self.depth * replyBytes)
            }
        }
    }
}

extension Keys {
    fileprivate func get(_ number: Int, to writer: inout ByteWriter) {
        writer.append("get ")
        with(number) { writer.append($0) }
        writer.append("\r\n")
    }

    fileprivate func metaGet(
        _ number: Int, _ flags: StaticString, to writer: inout ByteWriter
    ) {
        writer.append("mg ")
        with(number) { writer.append($0) }
        writer.append(" ")
        writer.append(flags)
        writer.append("\r\n")
    }

    fileprivate func set(_ number: Int, to writer: inout ByteWriter) {
        writer.append("set ")
        with(number) { writer.append($0) }
        writer.append(" 0 0 ")
        writer.append(decimal: UInt64(Keys.valueBytes))
        writer.append("\r\n")
        withValue { writer.append($0) }
        writer.append("\r\n")
    }
}
