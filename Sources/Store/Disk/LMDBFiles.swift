// LMDBFiles: the store's files as LMDB keeps them: a directory that one process holds, and in it
// one data file with four named databases.
//
// It forwards, and decides nothing: what a failure means is the business of `Disk` and of the
// committer.

internal import LMDB
internal import Primitives
internal import Synchronization

/// A directory of the file system, locked.
final class LMDBHome: StoreHome {
    private let directory: String
    private let marker: StartMarker
    private let lock: Mutex<StoreLock?>
    private let blocks = Mutex<BlockFile?>(nil)

    init(_ directory: String) throws(StoreError) {
        self.directory = directory
        marker = StartMarker(directory: directory)
        do {
            try StoreDirectory.make(directory)
        } catch {
            throw StoreError(error, directory: directory)
        }
        do {
            lock = Mutex(try StoreLock(directory: directory))
        } catch {
            switch error {
            case .inUse(let process): throw .inUse(directory: directory, processId: process)
            case .io(let errno):
                let error = LMDBError(errno: errno)
                guard error == .noSpace else { throw StoreError(error, directory: directory) }
                // There is none for the lock's own file: who holds it has made it, so nobody does.
                lock = Mutex(nil)
            }
        }
    }

    func open(sizeBytes: Int, reserveBytes: Int) throws(LMDBError) -> any StoreFiles {
        guard lock.withLock({ $0 != nil }) else { throw .noSpace }
        var bytes = max(sizeBytes, DiskConfiguration.sizeBytesMin)
        if reserveBytes > 0 {
            bytes = max(bytes, SmallFile.byteCount(directory + "/" + DataFile.name)) + reserveBytes
        }
        return try LMDBFiles(directory, mapBytes: bytes)
    }

    func openForReading() -> Int32 {
        SmallFile.openForReading(directory + "/" + DataFile.name)
    }

    func newSecret() -> (UInt64, UInt64, UInt64, UInt64) { Disk.randomSecret() }

    func moveAside(at unixSeconds: UInt32) throws(LMDBError) -> String? {
        try DataFile.moveAside(
            directory: directory, to: DataFile.name + ".unusable-\(unixSeconds)")
    }

    var markedStarts: Int { marker.count }
    func raiseMarker() { marker.raise() }
    func clearMarker() { marker.clear() }

    func openBlocks(_ count: Int) throws(LMDBError) {
        try blocks.withLock { file throws(LMDBError) in
            file = try BlockFile(directory: directory, name: "orders", blockCount: count)
        }
    }

    func read(block number: Int) throws(LMDBError) -> [UInt8] {
        try blocks.withLock { file throws(LMDBError) in
            guard let bytes = try file?.read(number) else { throw .notFound }
            return bytes
        }
    }

    func write(block number: Int, _ bytes: [UInt8]) throws(LMDBError) {
        try blocks.withLock { file throws(LMDBError) in
            guard try file?.write(number, bytes.span) != nil else { throw .notFound }
        }
    }

    func close() {
        blocks.withLock { $0 = nil }
        lock.withLock { $0 = nil }
    }
}

/// An open environment and its databases.
final class LMDBFiles: StoreFiles {
    private let environment: Environment
    private let databases: Databases

    /// A plain value, by table.
    struct Databases: BitwiseCopyable {
        let segments: Database
        let stretches: Database
        let directories: Database
        let meta: Database

        subscript(table: StoreTable) -> Database {
            switch table {
            case .segments: segments
            case .stretches: stretches
            case .directories: directories
            case .meta: meta
            }
        }
    }

    init(_ directory: String, mapBytes: Int) throws(LMDBError) {
        environment = try Environment(path: directory, mapBytes: mapBytes, databasesMax: 4)
        _ = try environment.clearDeadReaders()
        var transaction = try environment.beginWrite()
        databases = Databases(
            segments: try transaction.openDatabase("segments", integerKeys: true, create: true),
            stretches: try transaction.openDatabase("stretches", integerKeys: false, create: true),
            directories: try transaction.openDatabase(
                "directories", integerKeys: true, create: true),
            meta: try transaction.openDatabase("meta", integerKeys: true, create: true))
        try transaction.commit()
    }

    var mendedNumber: MendedNumber? { environment.mendedNumber }

    func beginRead() throws(LMDBError) -> any StoreReading {
        LMDBAccess(try environment.beginRead(), databases)
    }

    func beginWrite() throws(LMDBError) -> any StoreWriting {
        LMDBAccess(try environment.beginWrite(), databases)
    }
}

/// A transaction that is open until it is committed or the last reference goes.
final class LMDBAccess<Access: Transaction & ~Copyable>: StoreReading {
    private var access: Access?
    private let databases: LMDBFiles.Databases

    init(_ access: consuming Access, _ databases: LMDBFiles.Databases) {
        self.access = consume access
        self.databases = databases
    }

    func get<R>(
        _ table: StoreTable, key: UInt64, _ body: (Span<UInt8>) throws(LMDBError) -> R
    ) throws(LMDBError) -> R? {
        try access?.get(databases[table], key: key, body)
    }

    func fileOffset(segment key: UInt64) throws(LMDBError) -> UInt64? {
        try access?.fileOffset(databases.segments, key: key)?.offset
    }

    func firstKey(_ table: StoreTable) throws(LMDBError) -> UInt64? {
        try access?.firstKey(databases[table])
    }

    func lastKey(_ table: StoreTable) throws(LMDBError) -> UInt64? {
        try access?.lastKey(databases[table])
    }

    func entryCount(_ table: StoreTable) throws(LMDBError) -> Int {
        try access?.statistics(databases[table]).entries ?? 0
    }

    func forEach(
        _ table: StoreTable, from start: UInt64,
        _ body: (UInt64, Span<UInt8>) throws(LMDBError) -> Bool
    ) throws(LMDBError) {
        try access?.forEach(databases[table], from: start, body)
    }

    func forEachStretch(
        from start: PairKey, _ body: (PairKey, Span<UInt8>) throws(LMDBError) -> Bool
    ) throws(LMDBError) {
        try access?.withCursor(databases.stretches) { cursor throws(LMDBError) in
            var isThere = try start.withBytes { key throws(LMDBError) in
                try cursor.seek(atOrAbove: key)
            }
            while isThere {
                let key = try cursor.withKeyBytes { bytes throws(LMDBError) in PairKey(bytes) }
                if let key {
                    let goesOn = try cursor.withValue { value throws(LMDBError) in
                        try body(key, value)
                    }
                    guard goesOn else { return }
                }
                isThere = try cursor.next()
            }
        }
    }

    func stretch<R>(
        atOrBelow key: PairKey, _ body: (PairKey, Span<UInt8>) throws(LMDBError) -> R
    ) throws(LMDBError) -> R? {
        try access?.withCursor(databases.stretches) { cursor throws(LMDBError) -> R? in
            let above = PairKey(key.first, key.second &+ 1)
            let isAbove = try above.withBytes { key throws(LMDBError) in
                try cursor.seek(atOrAbove: key)
            }
            guard try isAbove ? cursor.previous() : cursor.last() else { return nil }
            let found = try cursor.withKeyBytes { bytes throws(LMDBError) in PairKey(bytes) }
            guard let found else { return nil }
            return try cursor.withValue { value throws(LMDBError) in try body(found, value) }
        } ?? nil
    }
}

extension LMDBAccess: StoreWriting where Access == WriteTransaction {
    func put(_ table: StoreTable, key: UInt64, bytes: Span<UInt8>) throws(LMDBError) {
        try access?.put(databases[table], key: key, bytes: bytes)
    }

    func put(stretch key: PairKey, bytes: Span<UInt8>) throws(LMDBError) {
        try key.withBytes { key throws(LMDBError) in
            try access?.put(databases.stretches, key: key, bytes: bytes)
        }
    }

    func put(
        segment key: UInt64, byteCount: Int, append: Bool, from region: Region, at offset: Int,
        count: Int
    ) throws(LMDBError) {
        try access?.reserve(databases.segments, key: key, byteCount: byteCount, append: append) {
            target in region.withBytes(offset, count) { target.append($0) }
        }
    }

    func delete(_ table: StoreTable, key: UInt64) throws(LMDBError) -> Bool {
        try access?.delete(databases[table], key: key) ?? false
    }

    func delete(stretch key: PairKey) throws(LMDBError) -> Bool {
        try key.withBytes { key throws(LMDBError) in
            try access?.delete(databases.stretches, key: key) ?? false
        }
    }

    func commit() throws(LMDBError) {
        try access.take()?.commit()
    }
}
