// LayoutTables: the tables of docs/memory-layout.md, made from the types and constants themselves.
//
// One function a table; the page says what the numbers mean.

import Primitives
import SegmentLog
import Server
import Simulation
import Store
import Support
import Uring

enum LayoutTables {
    /// Name of a table, and its lines.
    static func all() throws -> [(name: String, lines: [String])] {
        [
            ("record", record()), ("index", index()), ("segments", segments()),
            ("disk", disk()), ("item", try items()), ("network", network()),
            ("division", try division()),
        ]
    }

    private static func table(_ heads: [String], _ rows: [[String]]) -> [String] {
        let rule = heads.indices.map { $0 == 0 ? "---" : "---:" }
        return ([heads, rule] + rows).map { "| " + $0.joined(separator: " | ") + " |" }
    }

    /// With commas between thousands.
    private static func text(_ number: Int) -> String {
        var digits = String(number)
        var parts: [String] = []
        while digits.count > 3 {
            parts.insert(String(digits.suffix(3)), at: 0)
            digits.removeLast(3)
        }
        return ([digits] + parts).joined(separator: ",")
    }

    private static func tenths(_ number: Double) -> String {
        let tenths = Int((number * 10).rounded())
        return "\(tenths / 10).\(tenths % 10)"
    }

    // MARK: Records, index, segments

    private static func bytes(_ fields: RecordFields, value: Int) -> Int {
        fields.totalBytes(keyBytes: 8, valueBytes: value)
    }

    private static func record() -> [String] {
        let plain = bytes(RecordFields(), value: 8)
        // Samples that need no padding; fields of four bytes come in pairs, then.
        let wide = bytes(RecordFields(), value: 65_540) - bytes(RecordFields(), value: 65_528)
        let pair = bytes(RecordFields(flags: 1, expiry: 1), value: 8) - plain
        return table(
            ["part of a record", "bytes"],
            [
                [
                    "header: order, key length, form, checksum, value length, marks",
                    text(plain - 16),
                ],
                [
                    "CAS, if a touch has kept an older one",
                    text(bytes(RecordFields(cas: 1), value: 8) - plain),
                ],
                ["value length above 65,535", text(wide - 12)],
                ["expiry, if there is one", text(pair / 2)],
                ["flags, if they are not 0", text(pair / 2)],
                ["padding: to a multiple of", text(Record.alignment)],
                ["home on disk, in the promotion region only", text(Record.homeBytes)],
                ["the longest key", text(Record.keyBytesMax)],
            ])
    }

    private static func geometry(_ mebibytes: Int, storeGibibytes: Int, workers: Int = 4)
        -> Geometry
    {
        let memory = ServerMemory(
            memoryBytes: mebibytes << 20, connectionsMax: 1024, workers: workers)
        let committer = storeGibibytes > 0 ? StoreLayout.committerBytes : 0
        return Geometry(
            memoryBytes: memory.storeBytes - committer,
            writers: workers + (storeGibibytes > 0 ? 2 : 1), diskBytes: storeGibibytes << 30)
    }

    private static func index() -> [String] {
        table(
            ["", "without a store", "store of 4 GiB", "store of 64 GiB"],
            [
                ["bytes of a slot"] + [0, 4, 64].map { _ in text(8) },
                ["bytes of a bucket (\(Geometry.slotsPerBucket) slots, the last may be a link)"]
                    + [0, 4, 64].map { _ in text(Geometry.bucketBytes) },
                ["bits of a segment's number"]
                    + [0, 4, 64].map { text(geometry(256, storeGibibytes: $0).segmentBits) },
                ["bits of an offset, in units of 8 bytes"]
                    + [0, 4, 64].map { _ in text(Geometry.offsetBits) },
                ["bits of hits and removal"] + [0, 4, 64].map { _ in text(3) },
                ["bits of the tag: the rest"]
                    + [0, 4, 64].map {
                        text(64 - 20 - geometry(256, storeGibibytes: $0).segmentBits)
                    },
                ["shards at `-m 256`, each with a head of 64 bytes"]
                    + [0, 4, 64].map { text(geometry(256, storeGibibytes: $0).shardCount) },
            ])
    }

    private static func segments() -> [String] {
        let sizes = [64, 256, 1024, 4096]
        let all = sizes.map { geometry($0, storeGibibytes: 4) }
        // Entry, frame, when it was opened, lost bytes, lowest order, and a place in each queue of
        // segments.
        let entry = 64 + 4 + 4 + 4 + 8 + 5 * 4
        return table(
            ["with a store of 4 GiB and 4 workers"] + sizes.map { "`-m \($0)`" },
            [
                ["bytes of a frame"] + all.map { text($0.frameBytes) },
                ["bytes of a segment: a frame less what LMDB puts in front of a value"]
                    + all.map { text($0.segmentBytes) },
                ["the largest record that shares a segment"]
                    + all.map { text($0.sharedRecordBytesMax) },
                ["frames while the index is small"] + all.map { text($0.frameCount) },
                ["of those, the log region's when memory is full"]
                    + all.map { text($0.logFrames) },
                ["segment numbers"] + all.map { text($0.segmentCount) },
                ["bytes of the segment table and its queues, \(entry) a number"]
                    + all.map { text($0.segmentCount * entry) },
                ["bytes that the index may grow to"] + all.map { text($0.indexBytesMax) },
            ])
    }

    // MARK: Disk

    private static func disk() -> [String] {
        table(
            ["database", "key", "value"],
            [
                [
                    "`segments`: a sealed segment, whole", text(StoreLayout.integerKeyBytes),
                    "its records, at least \(text(StoreLayout.segmentValueBytesMin))",
                ],
                [
                    "`directories`: the keys of a segment", text(StoreLayout.integerKeyBytes),
                    "\(StoreLayout.directoryHeaderBytes) and "
                        + "\(StoreLayout.directoryEntryBytes) a record",
                ],
                [
                    "`stretches`: what was new in an open segment",
                    text(StoreLayout.stretchKeyBytes), "its records",
                ],
                [
                    "`meta`: a word, the hash's secret", text(StoreLayout.integerKeyBytes),
                    "8, \(KeyHasher.secretBytes)",
                ],
            ])
    }

    // MARK: Items

    /// What an item of the index takes when there are so many of them, as a shard grows.
    private static func indexBytesPerItem() throws -> Double {
        let geometry = Geometry(memoryBytes: 64 << 20, writers: 3, diskBytes: 4 << 30)
        let index = try Index(geometry)
        var chance = Chance(seed: 1)
        let count = 1_000_000
        for number in 0..<count {
            let hash = chance.next()
            let place = Place(segment: 1 + number % 1000, offset: number % 4096 * 8)
            _ = index.insert(hash, index.layout.slot(tag: index.layout.tag(hash), place))
        }
        return Double(index.touchedBytes()) / Double(count)
    }

    private static func items() throws -> [String] {
        let samples: [(String, Int, Int, RecordFields)] = [
            ("key of 16, value of 32", 16, 32, RecordFields()),
            ("key of 32, value of 100", 32, 100, RecordFields()),
            ("the same with flags and expiry", 32, 100, RecordFields(flags: 1, expiry: 1)),
            ("key of 40, value of 1,000", 40, 1000, RecordFields()),
            ("key of 40, value of 100,000", 40, 100_000, RecordFields()),
        ]
        let slot = try indexBytesPerItem()
        return table(
            ["item", "record", "index", "in memory", "overhead", "on disk"],
            samples.map { name, key, value, fields in
                let record = fields.totalBytes(keyBytes: key, valueBytes: value)
                return [
                    name, text(record), tenths(slot), tenths(Double(record) + slot),
                    tenths(Double(record - key - value) + slot),
                    text(record + StoreLayout.directoryEntryBytes),
                ]
            })
    }

    // MARK: Network

    private static func network() -> [String] {
        typealias Sizes = ServerLayout
        let parts = Sizes.partsPerConnection * (Sizes.partBytes + Sizes.partTextBytes)
        let connection =
            Sizes.connectionBytes + Sizes.connectionListBytes + Sizes.rollBytes
            + Sizes.lodgingBytes
        let borrowed = Sizes.incomingBytes + Sizes.outgoingBytes + Sizes.listingBytes
        let buffer = Sizes.blockBytes + Sizes.blockEntryBytes
        return table(
            ["", "bytes"],
            [
                ["a connection: its state", text(Sizes.connectionBytes)],
                ["its places in the worker's lists", text(Sizes.connectionListBytes)],
                ["what `stats conns` shows", text(Sizes.rollBytes)],
                ["where its input lies while it waits", text(Sizes.lodgingBytes)],
                ["**a connection that waits for a command**", "**\(text(connection))**"],
                ["while a large value comes, with its key", text(Sizes.incomingBytes)],
                ["while a large value leaves", text(Sizes.outgoingBytes)],
                ["while it is answered with a list", text(Sizes.listingBytes)],
                [
                    "\(Sizes.partsPerConnection) parts of deferred replies, \(Sizes.partBytes) and "
                        + "\(Sizes.partTextBytes) each", text(parts),
                ],
                [
                    "**with all of these, as `-m` counts them**",
                    "**\(text(connection + borrowed + parts))**",
                ],
                ["a worker: replies of one turn", text(Sizes.outputBytes)],
                [
                    "\(Sizes.batchEntries) requests parsed, \(Sizes.batchEntryBytes) each",
                    text(Sizes.batchEntries * Sizes.batchEntryBytes),
                ],
                [
                    "\(Sizes.readSlots) reads from disk, \(text(Sizes.readSlotBytes)) each",
                    text(Sizes.readSlots * Sizes.readSlotBytes),
                ],
                ["a receive buffer", text(buffer + Sizes.ringBufferEntryBytes)],
                ["a block of the pool", text(Sizes.blockBytes + Sizes.poolEntryBytes)],
            ])
    }

    private static func division() throws -> [String] {
        let record = RecordFields().totalBytes(keyBytes: 32, valueBytes: 100)
        let item = Double(record) + (try indexBytesPerItem())
        let choices = [(64, 2), (256, 2), (256, 4), (1024, 4), (4096, 4)]
        return table(
            ["`-c 1024`, a store"] + choices.map { "`-m \($0) -t \($1)`" },
            [
                ["connections a worker can have"]
                    + choices.map { text(memory($0).connectionsPerWorker) },
                ["receive buffers of a worker"] + choices.map { text(memory($0).receiveBuffers) },
                ["blocks of a worker's pool"] + choices.map { text(memory($0).poolBlocks) },
                ["bytes of all workers"] + choices.map { text(memory($0).networkBytes) },
                ["bytes of the committer"] + choices.map { _ in text(StoreLayout.committerBytes) },
                ["bytes left for frames, index and tables"]
                    + choices.map { text(left($0)) },
                ["items of 32 and 100 bytes that fit into that"]
                    + choices.map { text(Int(Double(left($0)) / item)) },
            ])
    }

    private static func left(_ choice: (Int, Int)) -> Int {
        memory(choice).storeBytes - StoreLayout.committerBytes
    }

    private static func memory(_ choice: (Int, Int)) -> ServerMemory {
        ServerMemory(memoryBytes: choice.0 << 20, connectionsMax: 1024, workers: choice.1)
    }
}
