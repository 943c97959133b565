// Reservation: up to which order changes may be given one, because that is on the disk: no start
// gives out again what this run has given out.
//
// It lies in the orders file, which a full disk does not refuse, and in the metadata of commits.

internal import LMDB
internal import SegmentLog

/// Orders that are reserved. Times are of the monotonic clock, in nanoseconds.
struct Reservation {
    /// Orders reserved above the highest given out.
    let ahead: UInt64
    private var file: OrdersFile
    /// Orders up to this one are reserved, on the disk.
    private(set) var held: UInt64
    /// The file could not be made because the disk is full: until something is reserved, orders
    /// are given out above what is, and only the time of the start keeps them apart.
    private(set) var isWithoutFile = false
    private var isFailing = false
    private var retryAt: UInt64 = 0

    static let retryNanoseconds: UInt64 = 100_000_000

    init(ahead: UInt64, found file: OrdersFile, held: UInt64) {
        self.ahead = ahead
        self.file = file
        self.held = held
    }

    /// The highest order that may be given out.
    var limit: UInt64 { isWithoutFile ? Record.orderMax : held }

    /// What is to be reserved above the highest order given out.
    func wanted(above highest: UInt64) -> UInt64 { min(highest + ahead, Record.orderMax) }

    /// Whether half of what was reserved is used up.
    func isDue(_ highest: UInt64) -> Bool {
        min(highest + ahead / 2, Record.orderMax) > held
    }

    /// Reserves orders in the file, if that is due or the file is not there yet; answers what has
    /// refused it, if nothing did before.
    mutating func renew(_ log: SegmentLog, on disk: Disk, at now: UInt64) -> LMDBError? {
        let isDue = isDue(log.highestOrder())
        guard isDue || !file.isOpen, now >= retryAt else { return nil }
        do throws(LMDBError) {
            if !file.isOpen {
                try disk.open(&file)
                // It could not be read at the start: an earlier run may have given out so many.
                log.raiseOrders(above: file.orders)
            }
            try disk.write(orders: wanted(above: log.highestOrder()), to: &file)
            note(held: file.orders)
            isFailing = false
            return nil
        } catch {
            retryAt = now + Self.retryNanoseconds
            isWithoutFile = isDue && !file.isOpen && error == .noSpace
            defer { isFailing = true }
            return isFailing ? nil : error
        }
    }

    /// So much is reserved, on the disk.
    mutating func note(held orders: UInt64) {
        guard orders > held else { return }
        held = orders
        isWithoutFile = false
    }

    /// What must hold between two steps; a sentence if it does not.
    func check(orderLimit: UInt64) -> String? {
        orderLimit == limit ? nil : "orders may be given out that are not reserved"
    }
}
