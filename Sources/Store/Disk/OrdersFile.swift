// OrdersFile: up to which order the store may have given out, in a file of its own beside the
// data file: two blocks that are overwritten in place, so that a full disk never refuses them.
//
// A block: "brimords", the number of this write, the orders (eight bytes each, lowest first), the
// CRC-32C of these 24 bytes, and zeros. What is reserved, and when, is `Reservation`'s business.

internal import LMDB
internal import Primitives
internal import SegmentLog

/// What the file holds, as far as it was read or written. A plain value; the committer's.
struct OrdersFile {
    static let blockCount = 2
    private static let magic: UInt64 = 0x7364_726F_6D69_7262

    /// The highest reservation that a sound block has.
    private(set) var orders: UInt64 = 0
    /// Of the newest sound block.
    private var sequence: UInt64 = 0
    private var newest = blockCount - 1
    /// Whether the file is there and has its place.
    private(set) var isOpen = false
    /// It is there, and what it holds cannot be known: no block can be read, or is sound. Until
    /// something is written to it.
    private(set) var isUnreadable = false

    /// Opens the file, or makes it, and reads what it holds. A block that is damaged or cannot be
    /// read counts for nothing: the other has the same reservation, or one that was used up.
    mutating func open(_ home: any StoreHome) throws(LMDBError) {
        guard !isOpen else { return }
        do throws(LMDBError) {
            try home.openBlocks(Self.blockCount)
        } catch {
            // Where there is no room to make it, there is none.
            isUnreadable = error != .noSpace
            throw error
        }
        isOpen = true
        isUnreadable = true
        for number in 0..<Self.blockCount {
            guard let bytes = try? home.read(block: number) else { continue }
            // Not written yet.
            if bytes.allSatisfy({ $0 == 0 }) { isUnreadable = false }
            guard let found = Self.decode(bytes) else { continue }
            isUnreadable = false
            orders = max(orders, found.orders)
            if found.sequence > sequence {
                sequence = found.sequence
                newest = number
            }
        }
    }

    /// Reserves: when this returns, at least one block has it, on the disk. The older block first,
    /// and the newest only when that has succeeded, so that one of them is sound at each moment.
    mutating func write(_ orders: UInt64, to home: any StoreHome) throws(LMDBError) {
        let older = 1 - newest
        let block = Self.encode(sequence: sequence + 1, orders: orders)
        try home.write(block: older, block)
        sequence += 1
        newest = older
        isUnreadable = false
        self.orders = max(orders, self.orders)
        // A copy, against damage. What it held is used up.
        let copy = Self.encode(sequence: sequence + 1, orders: orders)
        guard (try? home.write(block: 1 - older, copy)) != nil else { return }
        sequence += 1
        newest = 1 - older
    }

    private static func encode(sequence: UInt64, orders: UInt64) -> [UInt8] {
        var bytes = magic.bytes + sequence.bytes + orders.bytes
        let sum = CRC32C.of(bytes.span)
        bytes += UInt64(sum).bytes
        return bytes + [UInt8](repeating: 0, count: BlockFile.blockBytes - bytes.count)
    }

    private static func decode(_ bytes: [UInt8]) -> (sequence: UInt64, orders: UInt64)? {
        guard bytes.count >= 32 else { return nil }
        let span = bytes.span
        guard span.word(at: 0) == magic,
            span.word(at: 24) == UInt64(CRC32C.of(span.extracting(0..<24)))
        else { return nil }
        let (sequence, orders) = (span.word(at: 8), span.word(at: 16))
        // Nothing of ours is higher, and what is computed from these must not overflow.
        guard sequence < 1 << 62, orders <= Record.orderMax else { return nil }
        return (sequence, orders)
    }
}
