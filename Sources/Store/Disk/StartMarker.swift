// StartMarker: how many starts in a row were ended by what they found in the store's files.
//
// A file in the store's directory, there while a start looks at them: the id of the machine's boot
// and a byte for every start whose look ended the process by a fault of its own: a page that is not
// there, a trap, an abort. Damage does that. Whoever is killed leaves none, as looking at a slow
// disk may take longer than somebody waits; and what was marked in an earlier boot says nothing:
// the power may have failed, and the removal of a mark may have been lost with it.

internal import Primitives

/// A handle to the file. Errors are not told: a mark that cannot be made counts no start.
struct StartMarker: Sendable {
    private static let bootIdBytes = 36
    /// More than any store ever has.
    private static let countMax = 64

    private let path: String
    /// Linux's id of this boot; empty where it cannot be read: then all marks count.
    private let boot: [UInt8]

    init(directory: String) {
        path = directory + "/starting"
        let id = SmallFile.read("/proc/sys/kernel/random/boot_id", byteCountMax: Self.bootIdBytes)
        boot = id ?? []
    }

    /// Of this boot; nil if there is none.
    private var marks: Int? {
        let limit = Self.bootIdBytes + Self.countMax
        guard let bytes = SmallFile.read(path, byteCountMax: limit), bytes.starts(with: boot) else {
            return nil
        }
        return bytes.count - boot.count
    }

    /// Starts of this boot that are marked.
    var count: Int { marks ?? 0 }

    /// From now on this thread looks at the files.
    func raise() {
        if marks == nil { SmallFile.write(path, boot) }
        FaultWatch.begin(appendingTo: path)
    }

    /// It does not any more. By the same thread.
    func clear() {
        FaultWatch.end()
        SmallFile.remove(path)
    }
}
