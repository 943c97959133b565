// MapRange: which addresses are LMDB's map of the data file.
//
// LMDB does not tell. Knowing it, a page in the map can be told from a copy that a transaction has
// changed, and the number in a page's header can be compared with where the page lies.

internal import Glibc

/// Where the data file is mapped; empty if the system does not say.
struct MapRange: Sendable {
    let start: UInt
    let byteCount: UInt

    static let unknown = MapRange(start: 0, byteCount: 0)

    /// Looks for the mapping of the file `path` in the process's list of mappings.
    static func find(path: String) -> MapRange {
        var status = stat()
        // SAFETY: a nul-terminated path for the time of the call.
        guard unsafe stat(path, &status) == 0, let list = try? wholeList() else { return .unknown }
        // Each line: start-end rights offset device inode path, the numbers but the inode in hex.
        for line in list.split(separator: UInt8(ascii: "\n")) {
            let fields = line.split(separator: UInt8(ascii: " "), maxSplits: 5)
            guard fields.count >= 5, decimal(fields[4]) == UInt64(status.st_ino),
                hexadecimal(fields[2]) == 0
            else { continue }
            let ends = fields[0].split(separator: UInt8(ascii: "-"))
            guard ends.count == 2, let start = hexadecimal(ends[0]),
                let end = hexadecimal(ends[1]), start < end, hasName(line)
            else { continue }
            return MapRange(start: UInt(start), byteCount: UInt(end - start))
        }
        return .unknown
    }

    /// Gives the pages of the map back that nobody reads now: they stay in the system's cache, and
    /// no longer count as this process's. Whoever reads one later finds it there. Any thread.
    func release() {
        guard byteCount > 0 else { return }
        // SAFETY: the map is shared, of a file and read only, so nothing that it holds is lost.
        unsafe _ = madvise(
            UnsafeMutableRawPointer(bitPattern: start), Int(byteCount), Int32(MADV_DONTNEED))
    }

    func holds(_ address: UInt) -> Bool { address >= start && address - start < byteCount }

    /// The device numbers of the list and of stat differ on some file systems: go by the name.
    private static func hasName(_ line: ArraySlice<UInt8>) -> Bool {
        line.reversed().starts(with: Array(DataFile.name.utf8).reversed())
    }

    private static func wholeList() throws(LMDBError) -> [UInt8] {
        // SAFETY: a nul-terminated path for the time of the call.
        let descriptor = unsafe open("/proc/self/maps", O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else { throw LMDBError(code: errno) }
        defer { _ = close(descriptor) }
        var list: [UInt8] = []
        var buffer = [UInt8](repeating: 0, count: 16384)
        while true {
            // SAFETY: the buffer is as long as is said.
            let count = unsafe read(descriptor, &buffer, buffer.count)
            if count < 0, errno == EINTR { continue }
            guard count > 0 else { return list }
            list.append(contentsOf: buffer[0..<count])
        }
    }

    private static func decimal(_ digits: ArraySlice<UInt8>) -> UInt64? {
        UInt64(String(decoding: digits, as: UTF8.self))
    }
    private static func hexadecimal(_ digits: ArraySlice<UInt8>) -> UInt64? {
        UInt64(String(decoding: digits, as: UTF8.self), radix: 16)
    }
}
