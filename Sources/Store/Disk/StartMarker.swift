// StartMarker: how many starts in a row ended while they looked at the store's files.
//
// A file in the store's directory, there while a start looks at them: the id of the machine's boot
// and a byte for every start. Damage ends a process, and the machine goes on. What was marked in an
// earlier boot says nothing: the power may have failed, and the removal of a mark may have been
// lost with it.

internal import Primitives

/// A handle to the file. Errors are not told: a mark that cannot be made counts no start.
struct StartMarker: Sendable {
    private static let bootIdBytes = 36
    /// More than any start ever leaves.
    private static let countMax = 64

    private let path: String
    /// Linux's id of this boot; empty where it cannot be read: then all marks count.
    private let boot: [UInt8]

    init(directory: String) {
        path = directory + "/starting"
        let id = SmallFile.read("/proc/sys/kernel/random/boot_id", byteCountMax: Self.bootIdBytes)
        boot = id ?? []
    }

    /// Starts of this boot that are marked.
    var count: Int {
        let limit = Self.bootIdBytes + Self.countMax
        guard let bytes = SmallFile.read(path, byteCountMax: limit) else { return 0 }
        return bytes.starts(with: boot) ? bytes.count - boot.count : 0
    }

    func raise() {
        let marks = [UInt8](repeating: UInt8(ascii: "+"), count: min(count + 1, Self.countMax))
        SmallFile.write(path, boot + marks)
    }

    func clear() { SmallFile.remove(path) }
}
