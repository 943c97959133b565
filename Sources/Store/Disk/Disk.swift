// Disk: the store's directory: its lock, its LMDB environment, its metadata and its counters.
//
// It opens what is there, or moves it aside and begins anew. Writing is the committer's business,
// reading back the recovery's.

internal import LMDB
internal import Primitives
internal import Synchronization

/// An open LMDB environment and its databases. A plain value; the environment is shared.
struct DiskFiles: Sendable {
    let environment: Environment
    /// Sealed segments: sequence << 10 | part → the segment's bytes. Only a record larger than a
    /// segment has parts other than 0.
    let segments: Database
    /// What open segments held at a commit: sequence, offset → bytes from there on.
    let stretches: Database
    /// Key directories: sequence → see `Directory`.
    let directories: Database
    /// `MetaKey` → eight bytes, the secret thirty-two.
    let meta: Database

    /// Parts that a key has room for.
    static let partsMax = 1024

    static func segmentKey(_ sequence: UInt64, part: Int = 0) -> UInt64 {
        sequence << 10 | UInt64(part)
    }
    static func sequence(_ segmentKey: UInt64) -> UInt64 { segmentKey >> 10 }
}

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
}

/// What was read from the metadata when the store was opened.
struct Meta: BitwiseCopyable, Sendable {
    var secret: (UInt64, UInt64, UInt64, UInt64)
    var orders: UInt64 = 0
    var flushMark: UInt64 = 0
    var flushAt: UInt64 = 0
    var frameBytes: UInt64 = 0
    /// Segments on disk.
    var segments = 0
}

/// The disk tier's directory, open and locked.
final class Disk: Sendable {
    static let format: UInt64 = 1

    let configuration: DiskConfiguration
    let events: EventLog
    private let lock: Mutex<StoreLock?>
    private let current: Mutex<DiskFiles?>
    /// For the workers' reads through their rings.
    let readDescriptor: Int32
    let meta: Meta
    /// Whether the directory held a store already.
    let isFound: Bool
    let counters: DiskCounters

    /// Bytes that one transaction may carry; LMDB allocates its pages.
    static let transactionBytes = 8 << 20
    /// Out of `-m`: a transaction's pages, a segment read back, a key directory.
    static var memoryBytes: Int { StoreLayout.committerBytes }

    var secret: (UInt64, UInt64, UInt64, UInt64) { meta.secret }
    var frameBytes: Int? { meta.frameBytes == 0 ? nil : Int(meta.frameBytes) }

    init(_ configuration: DiskConfiguration, events: EventLog) throws(StoreError) {
        self.configuration = configuration
        self.events = events
        let directory = configuration.directory
        do {
            try StoreDirectory.make(directory)
        } catch {
            throw .directory(directory, reason: error.description)
        }
        do {
            lock = Mutex(try StoreLock(directory: directory))
        } catch {
            switch error {
            case .inUse(let process): throw .inUse(directory: directory, processId: process)
            case .io(let errno):
                throw .directory(directory, reason: LMDBError.io(errno: errno).description)
            }
        }
        do {
            counters = try DiskCounters()
        } catch {
            throw .memory(byteCount: 4096)
        }
        let marker = StartMarker(directory)
        if marker.count() >= StartMarker.attemptsMax {
            Self.moveAside(directory, "it failed \(StartMarker.attemptsMax) starts", events)
        }
        // Raised only while the file is looked at: whatever else ends a start is not its fault.
        marker.raise()
        defer { marker.clear() }
        let opened = try Self.open(configuration, events)
        current = Mutex(opened.0)
        meta = opened.1
        isFound = opened.2
        let path = directory + "/" + DataFile.name
        readDescriptor = SmallFile.openForReading(path)
        guard readDescriptor >= 0 else {
            throw .directory(directory, reason: "\(DataFile.name) cannot be read")
        }
    }

    /// The open files; nil once closed.
    func files() -> DiskFiles? { current.withLock { $0 } }

    /// Looks at the file in a way that damage in it might end the process: if that happens at
    /// several starts in a row, the next one moves the store aside.
    func whileMarked(_ body: () throws(LMDBError) -> Void) throws(LMDBError) {
        let marker = StartMarker(configuration.directory)
        marker.raise()
        defer { marker.clear() }
        try body()
    }

    /// An environment that answered with panic is closed and opened again. The committer only.
    func reopen() -> Bool {
        current.withLock { $0 = nil }
        guard let files = try? Self.openFiles(configuration) else { return false }
        current.withLock { $0 = files }
        return true
    }

    func close() {
        current.withLock { $0 = nil }
        lock.withLock { $0 = nil }
        SmallFile.close(readDescriptor)
    }

    static func randomSecret() -> (UInt64, UInt64, UInt64, UInt64) {
        var source = SystemRandomNumberGenerator()
        return (source.next(), source.next(), source.next(), source.next())
    }

    // MARK: Opening

    private static func open(
        _ configuration: DiskConfiguration, _ events: EventLog
    ) throws(StoreError) -> (DiskFiles, Meta, Bool) {
        do {
            let files = try openFiles(configuration)
            if let meta = try readMeta(files) { return (files, meta, true) }
            return (files, try writeMeta(files), false)
        } catch {
            switch error {
            case .invalid, .corrupted, .versionMismatch, .panic, .other, .keyExists, .notFound:
                moveAside(configuration.directory, error.description, events)
            default:
                throw refusal(configuration.directory, error)
            }
        }
        do {
            let files = try openFiles(configuration)
            return (files, try writeMeta(files), false)
        } catch {
            throw refusal(configuration.directory, error)
        }
    }

    private static func refusal(_ directory: String, _ error: LMDBError) -> StoreError {
        guard error != .noSpace else { return .noSpace(directory: directory) }
        return .directory(directory, reason: error.description)
    }

    private static func openFiles(
        _ configuration: DiskConfiguration
    ) throws(LMDBError) -> DiskFiles {
        let environment = try Environment(
            path: configuration.directory,
            mapBytes: max(configuration.sizeBytes, DiskConfiguration.sizeBytesMin),
            databasesMax: 4)
        _ = try environment.clearDeadReaders()
        var transaction = try environment.beginWrite()
        let files = DiskFiles(
            environment: environment,
            segments: try transaction.openDatabase("segments", integerKeys: true, create: true),
            stretches: try transaction.openDatabase("stretches", integerKeys: false, create: true),
            directories: try transaction.openDatabase(
                "directories", integerKeys: true, create: true),
            meta: try transaction.openDatabase("meta", integerKeys: true, create: true))
        try transaction.commit()
        return files
    }

    private static func readMeta(_ files: DiskFiles) throws(LMDBError) -> Meta? {
        let transaction = try files.environment.beginRead()
        func word(_ key: MetaKey) throws(LMDBError) -> UInt64? {
            try transaction.get(files.meta, key: key.rawValue) { bytes -> UInt64 in
                bytes.count == 8 ? bytes.word(at: 0) : 0
            }
        }
        guard let format = try word(.format) else { return nil }
        guard format == Self.format else { throw .versionMismatch }
        var meta = Meta(secret: (0, 0, 0, 0))
        let isThere = try transaction.get(files.meta, key: MetaKey.secret.rawValue) { bytes in
            guard bytes.count == 32 else { return false }
            meta.secret = (
                bytes.word(at: 0), bytes.word(at: 8), bytes.word(at: 16), bytes.word(at: 24)
            )
            return true
        }
        guard isThere == true else { throw .corrupted }
        meta.orders = try word(.orders) ?? 0
        meta.flushMark = try word(.flushMark) ?? 0
        meta.flushAt = try word(.flushAt) ?? 0
        meta.frameBytes = try word(.frameBytes) ?? 0
        meta.segments = try transaction.statistics(files.directories).entries
        return meta
    }

    private static func writeMeta(_ files: DiskFiles) throws(LMDBError) -> Meta {
        let meta = Meta(secret: randomSecret())
        var transaction = try files.environment.beginWrite()
        var bytes: [UInt8] = []
        for word in [meta.secret.0, meta.secret.1, meta.secret.2, meta.secret.3] {
            bytes += word.bytes
        }
        try transaction.put(files.meta, key: MetaKey.secret.rawValue, bytes: bytes.span)
        try transaction.put(files.meta, .format, Self.format)
        try transaction.commit()
        return meta
    }

    /// Renames the store's file so that a new one can be begun, and says so.
    private static func moveAside(_ directory: String, _ reason: String, _ events: EventLog) {
        let path = directory + "/" + DataFile.name
        let target = path + ".unusable-\(Clock.unixSeconds())"
        let isMoved = SmallFile.rename(path, to: target)
        SmallFile.remove(directory + "/lock.mdb")
        StartMarker(directory).clear()
        guard isMoved else { return }
        events.warning(.storeMovedAside, "reason=\(quoted: reason) to=\(quoted: target)")
    }
}

/// Counts starts that ended while they looked at the file, in a small file beside the store.
struct StartMarker {
    /// So many failed starts in a row, and the store is moved aside.
    static let attemptsMax = 3
    private let path: String

    init(_ directory: String) { path = directory + "/starting" }

    func count() -> Int { SmallFile.byteCount(path) }
    /// One byte for every start.
    func raise() { SmallFile.lengthen(path) }
    func clear() { SmallFile.remove(path) }
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

extension WriteTransaction {
    mutating func put(_ database: Database, _ key: MetaKey, _ word: UInt64) throws(LMDBError) {
        let bytes = word.bytes
        try put(database, key: key.rawValue, bytes: bytes.span)
    }
}
