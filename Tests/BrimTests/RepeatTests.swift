// RepeatTests: what of a log that repeats itself is written, and when.

import Primitives
import Testing
import brim

@Suite struct RepeatTests {
    private let second: UInt64 = 1_000_000_000

    @Test func tenInASecondAreWrittenAndTheRestIsSummedUpAfterAMinute() {
        var rule = RepeatRule()
        let written = (0..<47).filter { _ in rule.admits("a b=1", .warning, at: 5) }.count
        #expect(written == RepeatRule.perSecondMax)
        // Another line has its own count; once held back it stays so until it is summed up.
        let other = rule.admits("a b=2", .info, at: 5)
        let later = rule.admits("a b=1", .warning, at: 5 + 2 * second)
        #expect(other && !later)
        let early = rule.sums(at: 5 + 59 * second)
        #expect(early.isEmpty)
        let sums = rule.sums(at: 5 + 60 * second)
        #expect(sums.map(\.line) == ["a b=1 repeated=38"] && sums.first?.level == .warning)
        let afterwards = rule.admits("a b=1", .warning, at: 5 + 60 * second)
        let last = rule.sums(at: 5 + 600 * second, all: true)
        #expect(afterwards && last.isEmpty)
    }

    @Test func aNewSecondBeginsANewCountAndTheEndSumsUpAll() {
        var rule = RepeatRule()
        let written = (0..<1000).filter { rule.admits("a", .info, at: UInt64($0 / 10) * second) }
        #expect(written.count == 1000)
        let isOneMore = rule.admits("a", .info, at: 99 * second)
        let sums = rule.sums(at: 99 * second, all: true)
        #expect(!isOneMore && sums.map(\.line) == ["a repeated=1"])
    }

    @Test func manyDifferentLinesAreAllWrittenAndKeepLittle() {
        var rule = RepeatRule()
        let written = (0..<10_000).filter { rule.admits("a b=\($0)", .info, at: 1) }
        #expect(written.count == 10_000)
    }
}
