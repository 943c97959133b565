// BlockFile: a small file of a fixed size whose blocks are overwritten where they lie: a disk that
// is full takes them all the same, because it gave them their place when the file was made. (One
// that writes nothing in place, as btrfs and ZFS do, may refuse.)
//
// It assumes that the caller holds the directory's `StoreLock`; what the bytes mean is the caller's
// business.

internal import Glibc

/// An open file of blocks. Closed at the end of its scope.
public struct BlockFile: ~Copyable, Sendable {
    public static let blockBytes = 4096
    private let descriptor: Int32

    /// Opens the file, or makes it of zeros, for this user only. When this returns, its name and
    /// all of its blocks are on the disk.
    public init(directory: String, name: String, blockCount: Int) throws(LMDBError) {
        // SAFETY: a nul-terminated path for the time of the call.
        let descriptor = unsafe open(
            directory + "/" + name, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0o600)
        guard descriptor >= 0 else { throw LMDBError(code: errno) }
        do throws(LMDBError) {
            let found = try Self.blockCount(descriptor)
            if found < blockCount {
                // The name first: a file that has all of its blocks needs no look at its name then,
                // and no sync at each start.
                try StoreDirectory.sync(directory)
                try Self.lengthen(descriptor, from: found, to: blockCount)
            }
        } catch {
            _ = close(descriptor)
            throw error
        }
        self.descriptor = descriptor
    }

    deinit { _ = close(descriptor) }

    /// How many whole blocks it has.
    private static func blockCount(_ descriptor: Int32) throws(LMDBError) -> Int {
        var status = stat()
        // SAFETY: the struct is the call's own.
        guard unsafe fstat(descriptor, &status) == 0 else { throw LMDBError(code: errno) }
        return max(Int(status.st_size) / blockBytes, 0)
    }

    /// Writes zeros where blocks are missing, as they may after an end in the middle of this: what
    /// was only asked for would have no place yet.
    private static func lengthen(
        _ descriptor: Int32, from found: Int, to blockCount: Int
    ) throws(LMDBError) {
        let zeros = [UInt8](repeating: 0, count: blockBytes)
        for number in found..<blockCount { try write(descriptor, number, zeros.span) }
        guard fsync(descriptor) == 0 else { throw LMDBError(code: errno) }
    }

    private static func write(
        _ descriptor: Int32, _ number: Int, _ bytes: Span<UInt8>
    ) throws(LMDBError) {
        var done = 0
        while done < bytes.count {
            let at = off_t(number * blockBytes + done)
            let left = bytes.extracting(droppingFirst: done)
            // SAFETY: the span's own bounds, for the time of the call.
            let count = unsafe left.withUnsafeBufferPointer { buffer in
                unsafe pwrite(descriptor, buffer.baseAddress, buffer.count, at)
            }
            if count < 0, errno == EINTR { continue }
            guard count > 0 else { throw LMDBError(code: count < 0 ? errno : EIO) }
            done += count
        }
    }

    /// The bytes of a block.
    public func read(_ number: Int) throws(LMDBError) -> [UInt8] {
        let file = try FileReader(descriptor)
        guard let page = try file.read(number * Self.blockBytes, Self.blockBytes) else {
            throw .corrupted
        }
        return page.bytes
    }

    /// Overwrites a block; when this returns, it is on the disk.
    ///
    /// - Throws: the block may hold what was there, what was written, or some of both.
    public func write(_ number: Int, _ bytes: Span<UInt8>) throws(LMDBError) {
        precondition(bytes.count == Self.blockBytes)
        try Self.write(descriptor, number, bytes)
        guard fdatasync(descriptor) == 0 else { throw LMDBError(code: errno) }
    }
}
