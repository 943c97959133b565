// Environment: one LMDB directory, mapped. Opens after the file has been checked, closes in
// `deinit`, which waits for every transaction because each holds the environment.
//
// Opened with NOTLS (a read transaction belongs to a value, not to a thread) and NORDAHEAD, never
// WRITEMAP, with full sync: a commit that returned is on the disk. It does not keep other
// processes out (`StoreLock` does) nor decide what to do about a damaged file.

internal import CLMDB
internal import Glibc
internal import Synchronization

/// An open LMDB directory.
///
/// Any thread may use it. At most one write transaction is open at a time. The same directory
/// cannot be opened twice in a process: LMDB's locks would not survive it.
public final class Environment: Sendable {
    /// The MDB_env, as bits: a pointer would not be Sendable, LMDB's environment is.
    private let bits: UInt
    private let identity: DirectoryIdentity
    private let hasWriter = Atomic<Bool>(false)
    /// About how much of the map was looked at since its pages were let go last.
    private let mappedBytes = Atomic<Int>(0)
    /// For each database index, the serial of its handle; 0 when it is not open.
    private let serials: Mutex<[UInt32]>

    /// Size of the map: what the file can grow to. At least what was asked for.
    public let mapBytes: Int
    /// Size of a page, from the file or, for a new one, the system's.
    public let pageBytes: Int
    let map: MapRange
    /// What `DataFile.settleNewest` put right before the file was opened.
    public let mendedNumber: MendedNumber?

    /// Opens `path`, an existing directory, and makes its file durable if there was none.
    ///
    /// - Parameters:
    ///   - mapBytes: from 64 KiB; rounded up to whole pages and to what the file already uses.
    ///   - databasesMax: named databases that may be open, 1 to 64.
    ///   - readersMax: read transactions that may be open at a time.
    /// - Throws: `busy` if it is open in this process; `invalid`, `versionMismatch` or
    ///   `corrupted` from `DataFile.check`, before anything is mapped or changed; `noSpace` if
    ///   LMDB's lock file or the head of a new data file finds no room.
    public init(
        path: String, mapBytes: Int, databasesMax: Int, readersMax: Int = 16
    ) throws(LMDBError) {
        precondition(mapBytes >= 65536)
        precondition(databasesMax >= 1 && databasesMax <= 64)
        precondition(readersMax >= 1 && readersMax <= 4096)
        let identity = try DirectoryIdentity(path: path)
        guard openDirectories.withLock({ $0.insert(identity).inserted }) else { throw .busy }
        do throws(LMDBError) {
            mendedNumber = try DataFile.settleNewest(directory: path)
            let state = try DataFile.check(directory: path)
            try LockFile.reserve(directory: path, readersMax: readersMax)
            let handle = try Environment.begin(
                path, mapBytes, databasesMax, readersMax, isNew: state == .absent)
            do throws(LMDBError) {
                var info = unsafe MDB_envinfo()
                // SAFETY: an open environment; the struct is the call's own.
                unsafe try LMDBError.check(mdb_env_info(handle.pointer, &info))
                var sizes = MDB_stat()
                // SAFETY: as above.
                unsafe try LMDBError.check(mdb_env_stat(handle.pointer, &sizes))
                self.mapBytes = unsafe Int(info.me_mapsize)
                self.pageBytes = Int(sizes.ms_psize)
            } catch {
                // SAFETY: just opened, used by nobody else.
                unsafe mdb_env_close(handle.pointer)
                throw error
            }
            self.bits = handle.bits
            self.map = MapRange.find(path: path + "/" + DataFile.name)
        } catch {
            _ = openDirectories.withLock { $0.remove(identity) }
            throw error
        }
        self.identity = identity
        self.serials = Mutex(Array(repeating: 0, count: databasesMax + 2))
    }

    deinit {
        // SAFETY: every transaction holds a reference to `self`, so none is left.
        unsafe mdb_env_close(handle.pointer)
        _ = openDirectories.withLock { $0.remove(identity) }
    }

    private static func open(
        _ path: String, _ mapBytes: Int, _ databasesMax: Int, _ readersMax: Int
    ) throws(LMDBError) -> EnvironmentHandle {
        var created: OpaquePointer?
        unsafe try LMDBError.check(mdb_env_create(&created))
        guard let pointer = unsafe created else { throw .io(errno: ENOMEM) }
        let rounded = (mapBytes &+ 4095) / 4096 * 4096
        let flags = UInt32(MDB_NOTLS | MDB_NORDAHEAD)
        // SAFETY: a fresh environment that only this call knows; a failed open is closed below.
        var code = unsafe mdb_env_set_mapsize(pointer, rounded)
        if code == 0 { code = unsafe mdb_env_set_maxdbs(pointer, MDB_dbi(databasesMax)) }
        if code == 0 { code = unsafe mdb_env_set_maxreaders(pointer, UInt32(readersMax)) }
        if code == 0 { code = unsafe mdb_env_open(pointer, path, flags, 0o600) }
        guard code == 0 else {
            unsafe mdb_env_close(pointer)
            throw LMDBError(code: code)
        }
        return EnvironmentHandle(bits: UInt(bitPattern: pointer))
    }

    /// Opens the files. Of a new one that could not be begun (the disk is full) nothing stays: the
    /// next start must not take half of a head for damage.
    private static func begin(
        _ path: String, _ mapBytes: Int, _ databasesMax: Int, _ readersMax: Int, isNew: Bool
    ) throws(LMDBError) -> EnvironmentHandle {
        do throws(LMDBError) {
            if isNew { try DataFile.reserve(directory: path) }
            let handle = try open(path, mapBytes, databasesMax, readersMax)
            guard isNew else { return handle }
            do throws(LMDBError) {
                try makeDurable(handle, path)
                return handle
            } catch {
                // SAFETY: just opened, used by nobody else.
                unsafe mdb_env_close(handle.pointer)
                throw error
            }
        } catch {
            if isNew { DataFile.empty(directory: path) }
            throw error
        }
    }

    /// LMDB leaves the first meta pages and the directory entry to the page cache.
    private static func makeDurable(
        _ handle: EnvironmentHandle, _ path: String
    ) throws(LMDBError) {
        // SAFETY: an open environment.
        unsafe try LMDBError.check(mdb_env_sync(handle.pointer, 1))
        try StoreDirectory.sync(path)
    }

    var handle: EnvironmentHandle { EnvironmentHandle(bits: bits) }

    // MARK: Transactions

    /// Begins the write transaction. Ends on the thread that began it.
    ///
    /// - Throws: `busy` while another one is open, `panic` after a failed meta write.
    public func beginWrite() throws(LMDBError) -> WriteTransaction {
        guard !hasWriter.exchange(true, ordering: .acquiring) else { throw .busy }
        var begun: OpaquePointer?
        // SAFETY: the environment is open while `self` lives.
        let code = unsafe mdb_txn_begin(handle.pointer, nil, 0, &begun)
        guard code == 0, let pointer = unsafe begun else {
            hasWriter.store(false, ordering: .releasing)
            throw LMDBError(code: code)
        }
        return WriteTransaction(
            TransactionHandle(bits: UInt(bitPattern: pointer), environment: self))
    }

    /// Begins a read of the last committed state. Keep it short: pages freed since stay unusable.
    public func beginRead() throws(LMDBError) -> ReadTransaction {
        var begun: OpaquePointer?
        // SAFETY: as above.
        let code = unsafe mdb_txn_begin(handle.pointer, nil, UInt32(MDB_RDONLY), &begun)
        guard code == 0, let pointer = unsafe begun else { throw LMDBError(code: code) }
        return ReadTransaction(
            TransactionHandle(bits: UInt(bitPattern: pointer), environment: self))
    }

    func writerEnded() { hasWriter.store(false, ordering: .releasing) }

    /// A look has mapped about so many bytes of the file: those of a value, and what the system
    /// maps around the first page of one that has pages of its own. Any thread.
    func noteMapped(_ valueBytes: Int) {
        let around = valueBytes >= pageBytes / 2 ? Self.lookBytes : 0
        mappedBytes.add(valueBytes + around, ordering: .relaxed)
        releasePages()
    }
    /// The same, with the pages of the tree on the way there.
    func noteLook(_ valueBytes: Int) {
        mappedBytes.add(Self.lookBytes, ordering: .relaxed)
        noteMapped(valueBytes)
    }

    /// Only if it is worth a system call and the faults that bring back what is needed again. Who
    /// reads meanwhile finds the pages in the system's cache.
    private func releasePages() {
        guard mappedBytes.load(ordering: .relaxed) >= Self.mappedBytesMax else { return }
        mappedBytes.store(0, ordering: .relaxed)
        map.release()
    }

    /// What a page that was not mapped brings with it: what the system's cache has around it.
    private static let lookBytes = 64 << 10

    /// Of the map's pages so much may stay resident.
    private static let mappedBytesMax = 16 << 20

    // MARK: Figures

    /// Number of the last page that was ever used, as of the last commit.
    public var lastPage: Int {
        var info = unsafe MDB_envinfo()
        // SAFETY: the environment is open; this call cannot fail on one.
        unsafe mdb_env_info(handle.pointer, &info)
        return unsafe Int(info.me_last_pgno)
    }

    /// Pages between the start of the file and its last used one; the file never shrinks.
    public var usedPages: Int { lastPage + 1 }

    /// Bytes in pages that hold something, as of the last commit. Opens a short read transaction.
    public func filledBytes() throws(LMDBError) -> Int {
        let transaction = try beginRead()
        let freePages = try transaction.freePages()
        return (usedPages - freePages) * pageBytes
    }

    /// Frees reader slots of processes that died; returns how many there were.
    @discardableResult
    public func clearDeadReaders() throws(LMDBError) -> Int {
        var count: Int32 = 0
        // SAFETY: the environment is open.
        unsafe try LMDBError.check(mdb_reader_check(handle.pointer, &count))
        return Int(count)
    }

    /// Asks for everything written so far to be on disk; commits already did.
    public func sync() throws(LMDBError) {
        // SAFETY: the environment is open.
        unsafe try LMDBError.check(mdb_env_sync(handle.pointer, 1))
    }

    // MARK: Database handles

    func remember(_ index: UInt32, hasIntegerKeys: Bool) -> Database {
        serials.withLock { serials in
            if serials[Int(index)] == 0 {
                serials[Int(index)] = lastSerial.wrappingAdd(1, ordering: .relaxed).newValue
            }
            return Database(
                index: index, serial: serials[Int(index)], hasIntegerKeys: hasIntegerKeys)
        }
    }

    /// The handles of an aborted transaction are closed by LMDB.
    func forget(_ indexes: [UInt32]) {
        guard !indexes.isEmpty else { return }
        serials.withLock { serials in
            for index in indexes { serials[Int(index)] = 0 }
        }
    }

    func isOpen(_ index: UInt32) -> Bool { serials.withLock { $0[Int(index)] != 0 } }

    func check(_ database: Database, integerKeys: Bool) {
        precondition(database.hasIntegerKeys == integerKeys, "the database has the other keys")
        check(database)
    }

    func check(_ database: Database) {
        let isCurrent = serials.withLock { serials in
            let index = Int(database.index)
            return index < serials.count && serials[index] == database.serial
        }
        precondition(isCurrent, "the database handle belongs to another environment or is closed")
    }
}

/// An MDB_env as bits.
struct EnvironmentHandle {
    let bits: UInt
    /// Valid as long as the environment is open.
    @unsafe var pointer: OpaquePointer { unsafe OpaquePointer(bitPattern: bits).unsafelyUnwrapped }
}

/// A directory, whatever it is called.
struct DirectoryIdentity: Hashable {
    let device: UInt64
    let inode: UInt64

    init(path: String) throws(LMDBError) {
        var status = stat()
        // SAFETY: a nul-terminated path for the time of the call.
        guard unsafe stat(path, &status) == 0 else { throw LMDBError(code: errno) }
        device = UInt64(status.st_dev)
        inode = UInt64(status.st_ino)
    }
}

/// Directories with an open environment.
private let openDirectories = Mutex<Set<DirectoryIdentity>>([])
private let lastSerial = Atomic<UInt32>(0)
