// Counters: what a worker counts, in words that any thread may sum.
//
// One row per worker (and one for the control thread); only its owner writes a row, with plain
// adds. The statistics text reads all rows, at any time, without stopping anyone.

internal import Primitives

/// What is counted. The order is of no meaning.
enum Counter: Int, CaseIterable {
    case getCommands, getHits, getMisses, getExpired, getFlushed
    case setCommands, flushCommands, touchCommands, metaCommands
    case deleteHits, deleteMisses
    case incrHits, incrMisses, decrHits, decrMisses
    case casHits, casMisses, casBadValues
    // Of the commands that store, those that are no plain set: whether they stored.
    case addsStored, addsRefused, replacesStored, replacesRefused
    case appendsStored, appendsRefused, prependsStored, prependsRefused
    // A storage command that found no memory, or whose result would be too large for an item.
    case storesFailed
    // Those of the touches that are gets as well.
    case touchedGetHits, touchedGetMisses
    case statsCommands, otherCommands
    // Of the misses, those of a value that may be there.
    case missesTimedOut, missesDamaged
    case touchHits, touchMisses
    case storeTooLarge, storeNoMemory
    // Of all connections, and of those through unix sockets.
    case bytesRead, bytesWritten, bytesReadLocal, bytesWrittenLocal
    case connectionYields, idleKicks
    case totalConnections, rejectedConnections, listenDisabled, listenDisabledMicroseconds
    case acceptErrors, acceptedLocal, rejectedWithoutPlace
    case turns, batches, ringEnters
    // As they stand, once a second: large blocks of the pool.
    case poolBlocksUsed, poolBlocksFree
    case buffersExhausted, receivesCancelled, shortSends
    case staleHits, recacheWins, recacheRefusals
    case unknownCommands, badFormats, badValues, longKeys, unsignedRequests
    case diskReads, diskReadBytes, diskHits, diskMisses, diskDamaged, diskErrors, diskOthers
    case diskLoads
    case waitsForMemory, waitsForLoad, waitsForReadSlot, waitsForPin, waitsForBlocks
    case receivesStarved
    case waitsExpired
    case closedByPeer, closedByRequest, closedByFault, closedByError
    case closedStalledInput, closedStalledForOthers, closedPoolDry, closedUnread
    case closedFailedCommit, closedDraining, closedBySignIn, closedByBrowser
    case signIns, signInErrors, saslSignIns, saslSignInErrors
}

extension Counter {
    /// Whether it may go down, and is nothing to begin anew.
    var isGauge: Bool { self == .poolBlocksUsed || self == .poolBlocksFree }
}

/// One worker's row of counters.
struct Counters: BitwiseCopyable, Sendable {
    /// Bytes of a row; rows of two owners share no cache line.
    static let rowBytes = (Counter.allCases.count * 8 + 127) / 128 * 128

    private let words: AtomicWords

    init(_ region: Region, row: Int) {
        words = region.words(at: row * Self.rowBytes, count: Self.rowBytes / 8)
    }

    /// Adds to a counter; the row's owner only.
    @inline(__always)
    func add(_ counter: Counter, _ amount: UInt64 = 1) {
        words[counter.rawValue].addOwned(amount)
    }

    /// Adds a number that is not negative by construction.
    @inline(__always)
    func add(_ counter: Counter, bytes: Int) {
        add(counter, UInt64(truncatingIfNeeded: bytes))
    }

    /// What is no count, but stands so high; the row's owner only.
    func set(_ counter: Counter, _ value: Int) {
        words[counter.rawValue].storeRelaxed(UInt64(value))
    }

    /// The counter as it stands; any thread.
    func value(_ counter: Counter) -> UInt64 {
        words[counter.rawValue].loadRelaxed()
    }

    /// `stats reset`; counts that its owner makes at the same moment may be lost.
    func reset(_ counter: Counter) {
        guard !counter.isGauge else { return }
        words[counter.rawValue].storeRelaxed(0)
    }
}
