// StartNumberTests: whatever stands where a start reads a number of the store's files, the start
// gets to its end, and the next one finds what this one wrote.

import Primitives
import SegmentLog
import Store
import StoreSimulation
import Testing

@Suite struct StartNumberTests {
    private func start(_ home: MemoryHome, memoryBytes: Int = 24 << 20) throws -> Stepped {
        try Stepped(
            home, memoryBytes: memoryBytes, sizeBytes: 24 << 20, at: Stepped.beginning)
    }

    private func kill(_ store: Stepped, _ home: MemoryHome) {
        home.die()
        store.played.discardMemory()
    }

    /// A store that was used once.
    private func used() throws -> MemoryHome {
        let home = MemoryHome(seed: 3, ballast: 0)
        let first = try start(home)
        #expect(first.set("old", [1], isQuiet: true))
        #expect(first.commit())
        kill(first, home)
        return home
    }

    /// Three starts that each set something, and find what the one before them has set.
    private func expectService(
        _ home: MemoryHome, isMoved: Bool = false, _ comment: Comment
    ) throws {
        for life in 0..<3 as Range<UInt8> {
            let store = try start(home)
            store.recover()
            #expect(life == 0 || store.isThere("new\(life - 1)"), comment)
            #expect(store.set("new\(life)", [UInt8](repeating: life, count: 3000), isQuiet: true))
            #expect(store.commit(), comment)
            #expect(store.isThere("new\(life)"), comment)
            kill(store, home)
        }
        #expect((home.movedAside > 0) == isMoved, comment)
    }

    /// Frames, and with them segments, have a power of two of bytes. Anything else is as good as
    /// nothing.
    @Test(
        arguments: [
            1, 8, 65_535, 65_537, 131_073, 131_074, 131_076, 131_072 + 65_536, 1_048_575, 1_048_584,
            2_097_152, 1 << 62, .max,
        ] as [UInt64])
    func aFrameSizeIsOneThatFramesCanHave(bytes: UInt64) throws {
        let home = try used()
        home.damage(meta: 6, to: Self.word(bytes))
        try expectService(home, "\(bytes)")
        let wanted = Int(clamping: bytes)
        let geometry = Geometry(
            memoryBytes: 64 << 20, writers: 3, diskBytes: 64 << 20, frameBytesWanted: wanted)
        #expect(Geometry.isFrameSize(geometry.frameBytes))
        #expect(!Geometry.isFrameSize(wanted))
    }

    @Test func everyFrameSizeOfAStoreIsKept() {
        var bytes = Geometry.frameBytesMin
        while bytes <= Geometry.frameBytesMax {
            #expect(Geometry.isFrameSize(bytes))
            let geometry = Geometry(
                memoryBytes: 64 << 20, writers: 3, diskBytes: 64 << 20, frameBytesWanted: bytes)
            #expect(geometry.frameBytes >= bytes)
            bytes *= 2
        }
    }

    /// The count of a table stands in the file, and nothing checks it.
    @Test(arguments: [-1, .min, 1 << 40, 1 << 61, .max]) func anyCountOfSegmentsIsTaken(
        count: Int
    ) {
        let geometry = Geometry(
            memoryBytes: 64 << 20, writers: 3, diskBytes: 64 << 20, segmentsFound: count)
        #expect(geometry.segmentCount > 256 && geometry.segmentCount < 1 << 20)
    }

    /// Every number of the metadata with more bytes than it has, or fewer.
    @Test(arguments: [1, 2, 3, 4, 5, 6, 7] as [UInt64], [0, 1, 7, 9, 40])
    func aNumberOfAnotherLengthIsDamaged(number: UInt64, byteCount: Int) throws {
        let home = try used()
        home.damage(meta: number, to: [UInt8](repeating: 0, count: byteCount))
        // Without its format, or its secret, nothing of a store can be read.
        try expectService(home, isMoved: number <= 2, "\(number), \(byteCount) bytes")
    }

    /// What the numbers of a flush say is not known: what it removed must not come back.
    @Test(arguments: [4, 5] as [UInt64]) func aDamagedFlushIsOne(number: UInt64) throws {
        let home = try used()
        home.damage(meta: number, to: [0, 0, 0])
        let store = try start(home)
        store.recover()
        #expect(!store.isThere("old"))
        #expect(store.set("new", [1], isQuiet: true))
        #expect(store.commit())
        kill(store, home)
        let next = try start(home)
        next.recover()
        #expect(next.isThere("new"))
        kill(next, home)
    }

    private static func word(_ number: UInt64) -> [UInt8] {
        (0..<8).map { UInt8(truncatingIfNeeded: number >> (8 * $0)) }
    }
}
