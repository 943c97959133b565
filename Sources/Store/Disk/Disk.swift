// Disk: the store's files, open: whether they can be used, their metadata, and the counters.
//
// It opens what is there, or moves it aside and begins anew. Writing is the committer's business,
// reading back the recovery's.

internal import LMDB
internal import Primitives
internal import SegmentLog
internal import Synchronization

/// What the metadata database holds.
enum MetaKey: UInt64 {
    case format = 1
    case secret
    /// Orders up to this may have been given out.
    case orders
    case flushMark
    /// Absolute second of a delayed flush_all, 0 for none.
    case flushAt
    case frameBytes
    /// Segments below this sequence are not believed; see `Distrust`.
    case distrustMark
    /// What the cache's time was ahead of the system's clock; see `ClockLead`.
    case clockLead
}

/// What was read from the metadata when the store was opened.
struct Meta: BitwiseCopyable, Sendable {
    var secret: (UInt64, UInt64, UInt64, UInt64)
    var orders: UInt64 = 0
    /// Whether the number of orders is there, and can be right.
    var areOrdersSound = true
    var flushMark: UInt64 = 0
    var flushAt: UInt64 = 0
    var frameBytes: UInt64 = 0
    var distrustMark: UInt64 = 0
    /// Seconds that the cache's time was ahead of the system's clock.
    var secondsAhead: Int32 = 0
    /// Segments on disk.
    var segments = 0
}

/// The disk tier's directory, open and locked.
final class Disk: Sendable {
    static let format: UInt64 = 1

    let configuration: DiskConfiguration
    let events: EventLog
    private let home: any StoreHome
    private let current: Mutex<(any StoreFiles)?>
    /// For the workers' reads through their rings.
    let readDescriptor: Int32
    let meta: Meta
    /// What the file beside them said of orders.
    let ordersFound: OrdersFile
    /// Whether the directory held a store already.
    let isFound: Bool
    let counters: DiskCounters

    /// Bytes that one transaction may carry, at most; LMDB allocates its pages.
    static let transactionBytesMax = 8 << 20
    /// And in a file of this size: three of them are kept free, which must leave a small one the
    /// most of it.
    let transactionBytes: Int
    /// What the file may grow by, above its size, when there is no page left for a deletion.
    static let reserveBytes = 1 << 20
    /// Out of `-m`: a transaction's pages, a segment read back, a key directory.
    static var memoryBytes: Int { StoreLayout.committerBytes }

    var secret: (UInt64, UInt64, UInt64, UInt64) { meta.secret }
    /// Orders up to this one are reserved, as far as is known.
    var reservedOrders: UInt64 { max(meta.orders, ordersFound.orders) }
    /// Orders up to this one may have been given out by earlier runs. Where the orders file cannot
    /// be read, this is far above what the metadata says: commits may have failed for long.
    var ordersGivenOut: UInt64 {
        let isUnknown = ordersFound.isUnreadable && reservedOrders < Record.orderMax / 2
        return reservedOrders + (isUnknown ? Reservation.aboveMetadata : 0)
    }
    /// What the metadata reserves; where that is damaged, what the file does takes its place.
    var ordersCommitted: UInt64 { meta.areOrdersSound ? meta.orders : ordersFound.orders }
    /// Whether something tells how many orders the earlier runs may have given out. If nothing
    /// does, what they have left may have orders above this run's.
    var areOrdersKnown: Bool { meta.areOrdersSound || ordersFound.orders > 0 }
    /// Whether the distrust mark can be right. It is at most one above the highest sequence.
    var isDistrustMarkSound: Bool { meta.distrustMark <= SegmentKey.sequenceMax + 1 }
    /// Nil if it is not there, or is no frame size.
    var frameBytes: Int? { meta.frameBytes == 0 ? nil : Int(meta.frameBytes) }

    /// - Parameter home: nil: the configuration's directory.
    init(
        _ configuration: DiskConfiguration, events: EventLog, home given: (any StoreHome)? = nil,
        at unixSeconds: UInt32
    ) throws(StoreError) {
        self.configuration = configuration
        transactionBytes = min(max(configuration.sizeBytes / 64, 1 << 20), Self.transactionBytesMax)
        self.events = events
        let directory = configuration.directory
        let home = if let given { given } else { try LMDBHome(directory) as any StoreHome }
        self.home = home
        do {
            counters = try DiskCounters()
        } catch {
            throw .memory(byteCount: 4096)
        }
        // First, and small: where there is room for a store there is room for this. If it cannot
        // be opened now, the committer tries again.
        var orders = OrdersFile()
        try? orders.open(home)
        var opening = Opening(
            home: home, configuration: configuration, events: events, unixSeconds: unixSeconds,
            orders: orders)
        if home.markedStarts >= Opening.attemptsMax {
            opening.moveAside("it failed \(Opening.attemptsMax) starts")
        }
        // Raised only while the file is looked at: whatever else ends a start is not its fault.
        home.raiseMarker()
        defer { home.clearMarker() }
        let opened = try opening.open()
        ordersFound = opening.orders
        current = Mutex(opened.files)
        meta = opened.meta
        isFound = opened.isFound
        readDescriptor = home.openForReading()
        guard readDescriptor >= 0 || given != nil else {
            throw .directory(directory, reason: "\(DataFile.name) cannot be read")
        }
    }

    /// The open files; nil once closed.
    func files() -> (any StoreFiles)? { current.withLock { $0 } }

    /// Looks at the file in a way that damage in it might end the process: if that happens at
    /// several starts in a row, the next one moves the store aside.
    func whileMarked(_ body: () throws(LMDBError) -> Void) throws(LMDBError) {
        home.raiseMarker()
        defer { home.clearMarker() }
        try body()
    }

    /// Files that answered with panic are closed and opened again, and so are files without a page
    /// left, to get at a reserve: deleting takes pages, too. The committer only.
    func reopen(withReserve: Bool = false) -> Bool {
        current.withLock { $0 = nil }
        let size = configuration.sizeBytes
        let reserve = withReserve ? Self.reserveBytes : 0
        guard let files = try? home.open(sizeBytes: size, reserveBytes: reserve) else {
            return false
        }
        files.tellMended(to: events)
        current.withLock { $0 = files }
        return true
    }

    /// This run goes on without the files: what they hold is out of date from its first change on,
    /// so no later start may find them. Not while anything reads them.
    func leave(because reason: String, at unixSeconds: UInt32) throws(LMDBError) {
        current.withLock { $0 = nil }
        try home.moveAside(because: reason, events, at: unixSeconds)
    }

    func open(_ file: inout OrdersFile) throws(LMDBError) { try file.open(home) }

    /// Reserves orders in the file for that, which is open.
    func write(orders: UInt64, to file: inout OrdersFile) throws(LMDBError) {
        try file.write(orders, to: home)
    }

    func close() {
        current.withLock { $0 = nil }
        home.close()
        if readDescriptor >= 0 { SmallFile.close(readDescriptor) }
    }

    static func randomSecret() -> (UInt64, UInt64, UInt64, UInt64) {
        var source = SystemRandomNumberGenerator()
        return (source.next(), source.next(), source.next(), source.next())
    }
}

/// Opens the files at a start; such as cannot be used are moved aside, and new ones begun.
private struct Opening {
    /// So many failed starts in a row, and the store is moved aside.
    static let attemptsMax = 3

    let home: any StoreHome
    let configuration: DiskConfiguration
    let events: EventLog
    let unixSeconds: UInt32
    private(set) var orders: OrdersFile
    /// Orders up to this one may have been given out by the runs before, as far as is known.
    private var ordersGivenOut: UInt64
    /// They count as given out far above what is known.
    private var hasRisen = false

    init(
        home: any StoreHome, configuration: DiskConfiguration, events: EventLog,
        unixSeconds: UInt32, orders: OrdersFile
    ) {
        (self.home, self.configuration, self.events) = (home, configuration, events)
        (self.unixSeconds, self.orders) = (unixSeconds, orders)
        ordersGivenOut = orders.orders
        // What a store that begins now has in its metadata says nothing of the file.
        if orders.isUnreadable { ordersGivenOut = orderAboveUnread }
    }

    mutating func open() throws(StoreError) -> (files: any StoreFiles, meta: Meta, isFound: Bool) {
        var isOpen = false
        do {
            let files = try home.open(sizeBytes: configuration.sizeBytes, reserveBytes: 0)
            isOpen = true
            files.tellMended(to: events)
            if let meta = try readMeta(files) { return (files, meta, true) }
            return (files, try writeMeta(files), false)
        } catch {
            switch error {
            case .invalid, .corrupted, .versionMismatch, .panic, .other, .keyExists, .notFound:
                moveAside(error.description)
            case .noSpace where !isOpen:
                try leave()
                throw refusal(error)
            default:
                throw refusal(error)
            }
        }
        do {
            let files = try home.open(sizeBytes: configuration.sizeBytes, reserveBytes: 0)
            // It was moved, although that could not be synced.
            if !hasRisen { didMoveAside() }
            return (files, try writeMeta(files), false)
        } catch {
            throw refusal(error)
        }
    }

    private func refusal(_ error: LMDBError) -> StoreError {
        StoreError(error, directory: configuration.directory, ordersReserved: ordersGivenOut)
    }

    /// There is no room to open the store that is there, if one is: this run goes on without it,
    /// and what it holds will be out of date.
    private mutating func leave() throws(StoreError) {
        do {
            let reason = LMDBError.noSpace.description
            if try home.moveAside(because: reason, events, at: unixSeconds) { didMoveAside() }
        } catch {
            throw .directory(
                configuration.directory,
                reason: "no space is left to open it, nor can it be moved aside: \(error)")
        }
    }

    private func readMeta(_ files: any StoreFiles) throws(LMDBError) -> Meta? {
        let transaction = try files.beginRead()
        func word(_ key: MetaKey) throws(LMDBError) -> UInt64? { try transaction.word(key) }
        guard let format = try word(.format) else { return nil }
        guard format == Disk.format else { throw .versionMismatch }
        var meta = Meta(secret: (0, 0, 0, 0))
        let isThere = try transaction.get(.meta, key: MetaKey.secret.rawValue) { bytes in
            guard bytes.count == 32 else { return false }
            meta.secret = (
                bytes.word(at: 0), bytes.word(at: 8), bytes.word(at: 16), bytes.word(at: 24)
            )
            return true
        }
        guard isThere == true else { throw .corrupted }
        // No order is higher: such a number was damaged, and the orders file has it, too.
        let orders = try word(.orders) ?? 0
        meta.areOrdersSound = (1...Record.orderMax).contains(orders)
        meta.orders = meta.areOrdersSound ? orders : 0
        meta.flushMark = try word(.flushMark) ?? 0
        meta.flushAt = try word(.flushAt) ?? 0
        if let frameBytes = try word(.frameBytes) {
            if Geometry.isFrameSize(Int(clamping: frameBytes)) {
                meta.frameBytes = frameBytes
            } else {
                events.warning(.frameSizeDamaged, "bytes=\(frameBytes)")
            }
        }
        meta.distrustMark = try word(.distrustMark) ?? 0
        if let lead = try word(.clockLead) {
            meta.secondsAhead = ClockLead(lead)?.seconds ?? 0
            if ClockLead(lead) == nil { events.warning(.clockLeadDamaged, "word=\(lead)") }
        }
        meta.segments = try transaction.entryCount(.directories)
        return meta
    }

    private func writeMeta(_ files: any StoreFiles) throws(LMDBError) -> Meta {
        var meta = Meta(secret: home.newSecret())
        // The orders file may reserve so far above this, until the first commit.
        meta.orders = max(orderOfNow, ordersGivenOut)
        let transaction = try files.beginWrite()
        var bytes: [UInt8] = []
        for word in [meta.secret.0, meta.secret.1, meta.secret.2, meta.secret.3] {
            bytes += word.bytes
        }
        try transaction.put(.meta, key: MetaKey.secret.rawValue, bytes: bytes.span)
        try transaction.put(.format, Disk.format)
        try transaction.put(.orders, meta.orders)
        try transaction.commit()
        return meta
    }

    /// The store's file makes way for a new one.
    mutating func moveAside(_ reason: String) {
        // Where that is refused, the file is still there, and the next look at it ends the start.
        let isMoved = try? home.moveAside(because: reason, events, at: unixSeconds)
        if isMoved == true { didMoveAside() }
        home.clearMarker()
    }

    /// Nobody has read the metadata that are gone. Where the orders file could not be written for
    /// long, they had more than it has: orders begin far above it, which it is to tell the next
    /// start.
    private mutating func didMoveAside() {
        ordersGivenOut = orderAboveUnread
        // A full disk does not refuse it. If something does, a store that is begun now tells. A run
        // without a disk, which can reserve nothing, gives out what lies between the two.
        let reserved = min(ordersGivenOut + Reservation.aboveMetadata, Record.orderMax)
        if orders.isOpen { try? orders.write(reserved, to: home) }
        hasRisen = true
    }

    /// Far above what is known of orders, as long as that leaves the most of them to be given out.
    private var orderAboveUnread: UInt64 {
        let rise = orders.isUnreadable ? Reservation.aboveNothing : Reservation.aboveUnread
        let wanted = max(orderOfNow, orders.orders) + rise
        return max(orders.orders, min(wanted, Record.orderMax / 2))
    }

    private var orderOfNow: UInt64 {
        Reservation.order(atUnix: UInt64(unixSeconds) * 1_000_000_000)
    }
}

extension StoreFiles {
    /// Says which number was put right when they were opened, if one was.
    fileprivate func tellMended(to events: EventLog) {
        guard let number = mendedNumber else { return }
        events.warning(.commitNumberMended, "from=\(number.from) to=\(number.to)")
    }
}

extension StoreError {
    /// Why the store in a directory cannot be opened or begun.
    init(_ error: LMDBError, directory: String, ordersReserved: UInt64 = 0) {
        self =
            error == .noSpace
            ? .noSpace(directory: directory, orders: ordersReserved)
            : .directory(directory, reason: error.description)
    }
}

extension Span<UInt8> {
    /// Eight bytes, lowest first.
    func word(at offset: Int) -> UInt64 {
        var word: UInt64 = 0
        for position in 0..<8 { word |= UInt64(self[offset + position]) << (8 * position) }
        return word
    }
}

extension UInt64 {
    /// Lowest first.
    var bytes: [UInt8] { (0..<8).map { UInt8(truncatingIfNeeded: self >> (8 * $0)) } }
}
