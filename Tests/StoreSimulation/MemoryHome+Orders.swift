// MemoryHome+Orders: what files in memory reserve of orders.

import Primitives
import Store

extension MemoryHome {
    /// The files were moved aside while they alone told how many orders are given out, and nobody
    /// has written so many since.
    package var hasLostOrders: Bool { lostOrders > reservedOrders }

    /// Orders up to this one are reserved, as a start would read it.
    package var reservedOrders: UInt64 {
        let sound = (blocks ?? []).filter {
            Self.word($0, 24) == UInt64(CRC32C.of($0.span.extracting(0..<24)))
                && Self.word($0, 16) > 0
        }
        let inMeta = durable.tables[StoreTable.meta.rawValue].find(TableKey(first: 3))
        return max(
            sound.map { Self.word($0, 16) }.max() ?? 0, inMeta.map { Self.word($0.bytes, 0) } ?? 0)
    }

    /// What the metadata and the blocks reserve, for a reader of a history.
    package var ordersText: String {
        let inMeta = durable.tables[StoreTable.meta.rawValue].find(TableKey(first: 3))
        let inBlocks = (blocks ?? []).map { "\(Self.word($0, 16))" }.joined(separator: ", ")
        return "metadata \(inMeta.map { Self.word($0.bytes, 0) } ?? 0), blocks \(inBlocks)"
            + (lostOrders > 0 ? ", aside \(lostOrders)" : "")
    }

    /// Eight bytes, lowest first.
    static func word(_ bytes: [UInt8], _ at: Int) -> UInt64 {
        bytes[at..<at + 8].reversed().reduce(0) { $0 << 8 | UInt64($1) }
    }
}
