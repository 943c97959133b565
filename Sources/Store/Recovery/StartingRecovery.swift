// StartingRecovery: recovery from the first attempt to begin it. It needs memory for a directory;
// as long as there is none it is tried again, and what the disk holds is a miss.

internal import Primitives

/// The recovery thread's work. Used by one thread.
///
/// ```text
///           there is memory
/// lacking ──────────────────► recovering ──► ended
///   │ ▲                                        ▲
///   │ └─ none: again after a second            │
///   └──────────────────────────────────────────┘
///             the last commit of a stop is made
/// ```
struct StartingRecovery: ~Copyable {
    private let store: TieredStore
    private let disk: Disk
    private let entriesPerStep: Int
    private let makeRoom: () throws(MemoryError) -> Region
    private var recovery: Recovery?
    /// When the first attempt was made; it has been told that it found no memory.
    private var lackingSince: UInt64?

    private static let retryNanoseconds: UInt64 = 1_000_000_000

    /// - Parameter makeRoom: takes `Directory.regionBytes`, from the system if it is not a test.
    init(
        _ store: TieredStore, disk: Disk, entriesPerStep: Int = Recovery.entriesPerStep,
        makeRoom: @escaping () throws(MemoryError) -> Region = DirectoryReader.makeRoom
    ) {
        self.store = store
        self.disk = disk
        self.entriesPerStep = entriesPerStep
        self.makeRoom = makeRoom
    }

    /// What a second reader shares with the first, once it may begin.
    mutating func boardToShare() -> RecoveryBoard? { recovery?.boardToShare() }

    /// A bounded piece of work.
    mutating func step(at now: ClockReading) -> NextStep {
        if recovery == nil {
            guard store.signals.lastCommit.loadAcquire() == 0 else {
                store.events.info(.recoveryCutShort, "segments=0")
                return .ended
            }
            do throws(MemoryError) {
                recovery = Recovery(
                    store, disk: disk, at: lackingSince ?? now.nanoseconds, room: try makeRoom(),
                    entriesPerStep: entriesPerStep)
            } catch {
                if lackingSince == nil {
                    store.events.error(.recoveryWithoutMemory, "bytes=\(Directory.regionBytes)")
                    lackingSince = now.nanoseconds
                }
                return .time(now.nanoseconds + Self.retryNanoseconds)
            }
        }
        return recovery?.step(at: now) ?? .ended
    }
}
