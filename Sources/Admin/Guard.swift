// Guard: who may ask. The token, and the names by which the port may be called.

internal import Glibc
internal import Primitives
internal import Server

/// Why the token cannot be used: one line.
struct AdminTokenError: Error, CustomStringConvertible {
    let description: String
}

/// The secret that changes ask for.
struct AdminToken: Sendable {
    private let bytes: [UInt8]

    static let bytesRange = 16...256

    /// Reads it: one line of printable characters, in a file that nobody else may read.
    init(file path: String) throws(AdminTokenError) {
        func fault(_ text: String) -> AdminTokenError {
            AdminTokenError(description: "the admin token in \(path): \(text)")
        }
        guard let mode = FileMode.permissions(path) else { throw fault("cannot be read") }
        // Opening a pipe would wait for whoever writes to it.
        guard SmallFile.isRegular(path) else { throw fault("no regular file") }
        guard mode & 0o077 == 0 else {
            throw fault("others may read the file; chmod 600 takes that away")
        }
        guard let text = SystemTree.text(path, bytesMax: 1024) else {
            throw fault("cannot be read")
        }
        let line = text.hasSuffix("\n") ? text.dropLast() : text[...]
        bytes = Array(line.utf8)
        guard Self.bytesRange.contains(bytes.count), bytes.allSatisfy({ (33...126).contains($0) })
        else { throw fault("16 to 256 printable characters on one line are allowed") }
    }

    init(_ text: String) { bytes = Array(text.utf8) }

    /// Whether an `Authorization` header names it. Takes as long whatever differs.
    func isNamed(by header: String?) -> Bool {
        let words = (header ?? "").split(separator: " ", maxSplits: 1)
        guard words.count == 2, words[0].lowercased() == "bearer" else { return false }
        let given = Array(words[1].utf8)
        var difference = UInt8(given.count == bytes.count ? 0 : 1)
        for index in bytes.indices {
            difference |= bytes[index] ^ (index < given.count ? given[index] : 0)
        }
        return difference == 0
    }
}

/// The names that a `Host` header may have: no page of another name can make a browser read here.
struct HostNames: Sendable {
    let names: Set<String>

    init(_ names: [String]) { self.names = Set(names.map { $0.lowercased() } + ["localhost"]) }

    /// Without its port: one of the names, or an address, which cannot be rebound.
    func accepts(_ header: String) -> Bool {
        if header.hasPrefix("[") {
            let inside = header.dropFirst().prefix { $0 != "]" }
            return !inside.isEmpty && inside.allSatisfy { $0.isHexDigit || $0 == ":" || $0 == "." }
        }
        let parts = header.split(separator: ":", omittingEmptySubsequences: false)
        guard parts.count <= 2, let name = parts.first, !name.isEmpty else { return false }
        return names.contains(name.lowercased()) || Self.isAddress(name)
    }

    private static func isAddress(_ text: Substring) -> Bool {
        let parts = text.split(separator: ".", omittingEmptySubsequences: false)
        return parts.count == 4
            && parts.allSatisfy {
                // A number is read with a sign before it, too.
                (1...3).contains($0.count) && $0.allSatisfy(\.isHexDigit) && UInt8($0) != nil
            }
    }
}
