// ThreadAndClockTests: a thread runs its body once, with its name, and can be waited for; clocks do
// not run backwards.

import Glibc
import Primitives
import Testing

@Test func threadRunsItsBodyAndIsJoined() throws {
    let region = try Region.map(byteCount: 4096)
    for _ in 0..<100 {
        let thread = try Thread(name: "counter") { region.atomic64(at: 0).add(1) }
        thread.join()
    }
    #expect(region.atomic64(at: 0).loadAcquire() == 100)
}

@Test func threadHasItsNameAndItsOwnNumber() throws {
    let region = try Region.map(byteCount: 4096)
    let here = Thread.currentID
    let thread = try Thread(name: "a name that is too long", stackBytes: 64 << 10) {
        region.store(UInt32(bitPattern: Thread.currentID), at: 32)
        var text = [UInt8](repeating: 0, count: 32)
        // Set by the starter just after the start; wait for it.
        repeat {
            let file = open("/proc/thread-self/comm", O_RDONLY)
            _ = read(file, &text, 32)
            close(file)
        } while !text.starts(with: Array("a name".utf8))
        for (index, byte) in text.enumerated() where byte != 10 {
            region.store(byte, at: index)
        }
    }
    thread.join()
    let name = String(
        decoding: (0..<32).map { region.uint8(at: $0) }.prefix { $0 != 0 }, as: UTF8.self)
    #expect(name == "a name that is ")
    #expect(region.uint32(at: 32) != UInt32(bitPattern: here))
}

@Test func clocksGoForward() {
    let first = Clock.monotonicNanoseconds()
    let second = Clock.monotonicNanoseconds()
    #expect(second >= first)
    #expect(Clock.unixSeconds() > 1_700_000_000)
    #expect(Clock.unixNanoseconds() / 1_000_000_000 >= Clock.unixSeconds() - 1)
    #expect(Machine.coreCount >= 1)
}
