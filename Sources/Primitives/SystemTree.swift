// SystemTree: reads what the kernel tells in files: /proc, /sys.
//
// A fence around open, read, readdir and readlink for short texts that exist only while they are
// read. Not for data, and not on the road of a request.

internal import Glibc

/// Files, folders and links, read whole. Any thread; everything blocks for as long as the system
/// takes. Nil or empty for what is not there or may not be read.
public enum SystemTree {
    /// The bytes of a file, at most `bytesMax` of them.
    public static func text(_ path: String, bytesMax: Int = 16 << 20) -> String? {
        // SAFETY: the path is lent for the call.
        let descriptor = unsafe open(path, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else { return nil }
        defer { close(descriptor) }
        var bytes: [UInt8] = []
        var part = [UInt8](repeating: 0, count: 16 << 10)
        while bytes.count < bytesMax {
            // SAFETY: at most `part.count` bytes, into `part`.
            let count = unsafe read(descriptor, &part, part.count)
            if count < 0 && errno == EINTR { continue }
            guard count >= 0 else { return nil }
            guard count > 0 else { break }
            bytes += part[..<count]
        }
        return String(decoding: bytes, as: UTF8.self)
    }

    /// The names in a folder, without the two that every folder has, in the system's order.
    public static func names(in folder: String) -> [String] {
        // SAFETY: the path is lent; the stream is closed once; an entry is read before the next.
        guard let stream = unsafe opendir(folder) else { return [] }
        defer { unsafe _ = closedir(stream) }
        var names: [String] = []
        while let entry = unsafe readdir(stream) {
            let name = unsafe withUnsafeBytes(of: &entry.pointee.d_name) { bytes in
                unsafe String(decoding: bytes.prefix { $0 != 0 }, as: UTF8.self)
            }
            if name != "." && name != ".." { names.append(name) }
        }
        return names
    }

    /// What a symbolic link names.
    public static func target(ofLink path: String) -> String? {
        var bytes = [CChar](repeating: 0, count: 4096)
        // SAFETY: at most `bytes.count` bytes, into `bytes`.
        let count = unsafe readlink(path, &bytes, bytes.count)
        guard count >= 0 else { return nil }
        return String(
            decoding: bytes[..<count].map { UInt8(bitPattern: $0) }, as: UTF8.self)
    }
}
