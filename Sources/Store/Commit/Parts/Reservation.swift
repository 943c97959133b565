// Reservation: up to which order changes may be given one, because that is on the disk: no start
// gives out again what this run has given out.
//
// It lies in the orders file, which a full disk does not refuse, and in the metadata of commits.

internal import LMDB
internal import SegmentLog

/// Orders that are reserved. Times are of the monotonic clock, in nanoseconds.
///
/// ```text
///            half is used up                refused
/// reserved ──────────────────► due ────────────────────► failing: told once, tried again
///  ▲                            │                          │      after a tenth of a second
///  └── the file, or a commit, reserves more ◄──────────────┤
///                                                          │ no room to make the file
///  giveUp: memory only, no limit                           ▼
///                                              without a file: no limit, until either reserves
/// ```
struct Reservation {
    /// Orders reserved above the highest given out.
    let ahead: UInt64
    private var file: OrdersFile
    /// What the metadata of the last commit reserves.
    private var committed: UInt64
    /// This run commits nothing: what it gives out will be found on the disk by nobody.
    private var isMemoryOnly = false
    /// The file could not be made because the disk is full: until something is reserved, orders
    /// are given out above what is, and only the time of the start keeps them apart.
    private(set) var isWithoutFile = false
    private var isFailing = false
    private var retryAt: UInt64 = 0

    static let retryNanoseconds: UInt64 = 100_000_000
    /// So far above the metadata begins a start that cannot read the file, and so far above them
    /// the file may reserve: what any run has given out, such a start is above it.
    static let aboveMetadata: UInt64 = 1 << 38
    /// So far above the file, or the time, orders begin where nobody has read the metadata that
    /// were moved aside: commits may have reserved on, and a few starts have begun above those,
    /// while the file could not be written.
    static let aboveUnread: UInt64 = 1 << 40
    /// So far above the time, where nothing can be read, neither a store's metadata nor the file:
    /// several earlier starts may have begun that far above each other.
    static let aboveNothing: UInt64 = 1 << 43
    /// Starts that can reserve nothing are kept apart by their time, in orders, modulo this, where
    /// more is reserved than the time stands for: starts a multiple of 36 hours apart may meet.
    static let startsApart: UInt64 = 1 << 34

    init(ahead: UInt64, found file: OrdersFile, committed: UInt64) {
        self.ahead = ahead
        self.file = file
        self.committed = committed
    }

    /// Orders up to this one are reserved, on the disk.
    var held: UInt64 { max(committed, file.orders) }

    /// The highest order that may be given out.
    var limit: UInt64 { isWithoutFile || isMemoryOnly ? Record.orderMax : held }

    /// What is to be reserved above the highest order given out.
    func wanted(above highest: UInt64) -> UInt64 { min(highest + ahead, Record.orderMax) }

    /// And of that, what the file may reserve: all of it where the metadata have left.
    private func wantedInFile(above highest: UInt64) -> UInt64 {
        let wanted = wanted(above: highest)
        return isMemoryOnly ? wanted : min(wanted, committed + Self.aboveMetadata)
    }

    /// Whether half of what was reserved is used up, or the file can tell nothing, and the file may
    /// reserve more.
    private func isDue(_ highest: UInt64) -> Bool {
        let wanted = wantedInFile(above: highest)
        // The store has been left, and its metadata with it: the file alone tells the next start.
        let held = isMemoryOnly ? file.orders : held
        if file.isUnreadable, wanted >= held, wanted > highest { return true }
        return highest + ahead / 2 > held && wanted > max(held, highest)
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
            let highest = log.highestOrder()
            if self.isDue(highest) {
                try disk.write(orders: wantedInFile(above: highest), to: &file)
                isWithoutFile = false
            }
            isFailing = false
            return nil
        } catch {
            retryAt = now + Self.retryNanoseconds
            isWithoutFile = isDue && !file.isOpen && error == .noSpace
            defer { isFailing = true }
            return isFailing ? nil : error
        }
    }

    /// A commit has succeeded, and its metadata reserve so much.
    mutating func didCommit(orders: UInt64) {
        guard orders > committed else { return }
        committed = orders
        isWithoutFile = false
    }

    /// The run goes on in memory alone, and the store has been left.
    mutating func giveUp() { isMemoryOnly = true }

    /// The order for which a time stands: 131 for each millisecond since 2020.
    static func order(atUnix nanoseconds: UInt64) -> UInt64 {
        let epoch: UInt64 = 1_577_836_800_000_000_000
        let ticks = (nanoseconds - min(epoch, nanoseconds)) / 1_000_000 &* 131
        return min(ticks, Record.orderMax / 2)
    }

    /// What must hold between two steps; a sentence if it does not.
    func check(orderLimit: UInt64) -> String? {
        orderLimit == limit ? nil : "orders may be given out that are not reserved"
    }
}
