// UniversalTimeTests: dates without a calendar library are those of one.

import Foundation
import Primitives
import Testing

@Suite struct UniversalTimeTests {
    @Test func stampsAreThoseOfFoundation() {
        let style = Date.ISO8601FormatStyle(includingFractionalSeconds: true)
        let leap: UInt64 = 951_782_399
        var moments: [UInt64] = [0, 86_399, 86_400, leap, leap + 1, leap + 86_401, 4_102_444_800]
        moments += (0..<2000).map { UInt64($0) * 1_999_993 }
        for seconds in moments {
            let date = Date(timeIntervalSince1970: Double(seconds) + 0.125)
            let stamp = UniversalTime.stamp(unixNanoseconds: seconds * 1_000_000_000 + 125_999_999)
            #expect(stamp == date.formatted(style))
            let minutes = UniversalTime(unixSeconds: seconds).minutes
            #expect(minutes == stamp.prefix(16).replacing("T", with: " ") + " UTC")
        }
    }

    @Test func millisecondsHaveThreeDigits() {
        let stamps = [0, 7, 42, 999].map { UniversalTime.stamp(unixNanoseconds: $0 * 1_000_000) }
        #expect(stamps.map { $0.suffix(5) } == [".000Z", ".007Z", ".042Z", ".999Z"])
    }
}
