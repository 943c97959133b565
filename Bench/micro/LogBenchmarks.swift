// LogBenchmarks: a record appended to an open segment, without looking for its key.

internal import Primitives
internal import SegmentLog

enum LogBenchmarks {
    static func run(_ meter: inout Meter, _ keys: Keys) throws(MemoryError) {
        let geometry = Geometry(memoryBytes: 64 << 20, writers: 3, diskBytes: 0)
        let log = try SegmentLog(geometry, workers: 1, secret: (1, 2, 3, 4))
        var writer = Writer(log, number: 0)
        append(&writer, keys, 0..<64)
        meter.begin()
        append(&writer, keys, 64..<keys.count)
        meter.end("segment append", operations: keys.count - 64)
        meter.sum &+= UInt64(writer.main.segment)
    }

    @inline(never)
    private static func append(_ writer: inout Writer, _ keys: Keys, _ range: Range<Int>) {
        let fields = RecordFields()
        let total = fields.totalBytes(keyBytes: Keys.keyBytes, valueBytes: Keys.valueBytes)
        for number in range {
            guard writer.makeSpace(total) else { return }
            let target = writer.tail
            let at = target.write(
                fields, order: UInt64(number + 1), keyBytes: Keys.keyBytes,
                valueBytes: Keys.valueBytes)
            keys.with(number) { target.region.store($0, at: at) }
            keys.withValue { target.region.store($0, at: at + Keys.keyBytes) }
            _ = writer.advance(total, expiry: 0)
        }
    }
}
