// Credentials: who may sign in, as the file of `-Y` says, and whether somebody is one of them.
//
// Lines are `user:password`; a password may be given as `$sha256$salt$digest` (the digest of salt
// and password in hexadecimal). What is kept are digests only. Nothing here knows of connections.
//
// The names of a try are compared with every line's; its password is digested with the salts of
// those that have the name, or of as many others. So a try takes about as long whether its name is
// there or not, and not much longer with a thousand salted lines than with one.

/// What is wrong with a file of credentials.
struct CredentialsError: Error {
    let reason: String
}

/// The lines of one file.
struct Credentials: Sendable {
    static let linesMax = 1024
    static let lineBytesMax = 256
    static let fileBytesMax = linesMax * lineBytesMax
    /// A longer password is nobody's: to digest it would take time.
    static let passwordBytesMax = 1024

    private struct Line: Sendable {
        /// Of the user's name.
        var user: [UInt8]
        var salt: [UInt8]
        /// Of salt and password.
        var password: [UInt8]
    }

    private let lines: [Line]
    /// The most lines that one name has.
    private let linesOfNameMax: Int

    /// Nobody.
    init() { (lines, linesOfNameMax) = ([], 0) }

    init(_ text: [UInt8]) throws(CredentialsError) {
        var lines: [Line] = []
        let parts = text.split(separator: UInt8(ascii: "\n"), omittingEmptySubsequences: false)
        for (index, part) in parts.enumerated() {
            let part = part.last == UInt8(ascii: "\r") ? part.dropLast() : part
            guard !part.isEmpty else { continue }
            guard part.count <= Self.lineBytesMax else {
                throw CredentialsError(
                    reason: "line \(index + 1) has more than \(Self.lineBytesMax) bytes")
            }
            guard let line = Self.line(part) else {
                throw CredentialsError(
                    reason: "line \(index + 1) is not user:password or"
                        + " user:$sha256$salt$digest")
            }
            lines.append(line)
        }
        guard !lines.isEmpty else { throw CredentialsError(reason: "it names nobody") }
        guard lines.count <= Self.linesMax else {
            throw CredentialsError(reason: "it has more than \(Self.linesMax) lines")
        }
        self.lines = lines
        linesOfNameMax = Dictionary(grouping: lines, by: \.user).values.map(\.count).max() ?? 0
    }

    private static func line(_ text: ArraySlice<UInt8>) -> Line? {
        guard let colon = text.firstIndex(of: UInt8(ascii: ":")), colon > text.startIndex else {
            return nil
        }
        let user = SHA256.digest(Array(text[..<colon]))
        let password = text[(colon + 1)...]
        guard !password.isEmpty else { return nil }
        guard password.starts(with: "$sha256$".utf8) else {
            return Line(user: user, salt: [], password: SHA256.digest(Array(password)))
        }
        let parts = password.split(separator: UInt8(ascii: "$"), omittingEmptySubsequences: false)
        guard parts.count == 4, let digest = bytes(hexadecimal: parts[3]), digest.count == 32
        else { return nil }
        return Line(user: user, salt: Array(parts[2]), password: digest)
    }

    private static func bytes(hexadecimal text: ArraySlice<UInt8>) -> [UInt8]? {
        guard text.count.isMultiple(of: 2) else { return nil }
        var bytes: [UInt8] = []
        var rest = text
        while let high = rest.popFirst(), let low = rest.popFirst() {
            guard let byte = UInt8(String(decoding: [high, low], as: UTF8.self), radix: 16) else {
                return nil
            }
            bytes.append(byte)
        }
        return bytes
    }

    /// Whether the user is there and this is the password.
    func admits(user: [UInt8], password: [UInt8]) -> Bool {
        // No line holds a longer name.
        guard user.count < Self.lineBytesMax, password.count <= Self.passwordBytesMax else {
            return false
        }
        let name = SHA256.digest(user)
        let plain = SHA256.digest(password)
        // Those with the name first; which of the others follow says nothing.
        var own: [Int] = []
        var others: [Int] = []
        for (index, line) in lines.enumerated() {
            if Self.difference(name, line.user) == 0 {
                own.append(index)
            } else if others.count < linesOfNameMax {
                others.append(index)
            }
        }
        var admitted: UInt8 = 0
        for index in (own + others).prefix(linesOfNameMax) {
            let line = lines[index]
            let digest = line.salt.isEmpty ? plain : SHA256.digest(line.salt + password)
            let difference =
                Self.difference(name, line.user) | Self.difference(digest, line.password)
            // 1 only if nothing differs, without a branch.
            admitted |= UInt8(truncatingIfNeeded: (UInt16(difference) &- 1) >> 15)
        }
        return admitted == 1
    }

    /// 0 if two digests are the same.
    private static func difference(_ first: [UInt8], _ second: [UInt8]) -> UInt8 {
        var bits: UInt8 = 0
        for index in 0..<32 { bits |= first[index] ^ second[index] }
        return bits
    }
}
