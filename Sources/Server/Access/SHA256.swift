// SHA256: the digest of FIPS 180-4, of short texts: passwords and names of those who sign in.
//
// Only as fast as that needs. What it takes depends on the length alone.

enum SHA256 {
    private static let rounds: [UInt32] = [
        0x428a_2f98, 0x7137_4491, 0xb5c0_fbcf, 0xe9b5_dba5, 0x3956_c25b, 0x59f1_11f1, 0x923f_82a4,
        0xab1c_5ed5, 0xd807_aa98, 0x1283_5b01, 0x2431_85be, 0x550c_7dc3, 0x72be_5d74, 0x80de_b1fe,
        0x9bdc_06a7, 0xc19b_f174, 0xe49b_69c1, 0xefbe_4786, 0x0fc1_9dc6, 0x240c_a1cc, 0x2de9_2c6f,
        0x4a74_84aa, 0x5cb0_a9dc, 0x76f9_88da, 0x983e_5152, 0xa831_c66d, 0xb003_27c8, 0xbf59_7fc7,
        0xc6e0_0bf3, 0xd5a7_9147, 0x06ca_6351, 0x1429_2967, 0x27b7_0a85, 0x2e1b_2138, 0x4d2c_6dfc,
        0x5338_0d13, 0x650a_7354, 0x766a_0abb, 0x81c2_c92e, 0x9272_2c85, 0xa2bf_e8a1, 0xa81a_664b,
        0xc24b_8b70, 0xc76c_51a3, 0xd192_e819, 0xd699_0624, 0xf40e_3585, 0x106a_a070, 0x19a4_c116,
        0x1e37_6c08, 0x2748_774c, 0x34b0_bcb5, 0x391c_0cb3, 0x4ed8_aa4a, 0x5b9c_ca4f, 0x682e_6ff3,
        0x748f_82ee, 0x78a5_636f, 0x84c8_7814, 0x8cc7_0208, 0x90be_fffa, 0xa450_6ceb, 0xbef9_a3f7,
        0xc671_78f2,
    ]

    static func digest(_ text: [UInt8]) -> [UInt8] {
        var message = text + [0x80]
        message += repeatElement(0, count: (120 - message.count % 64) % 64)
        message += bytes(UInt64(text.count) << 3)
        var state: [UInt32] = [
            0x6a09_e667, 0xbb67_ae85, 0x3c6e_f372, 0xa54f_f53a, 0x510e_527f, 0x9b05_688c,
            0x1f83_d9ab, 0x5be0_cd19,
        ]
        var schedule = [UInt32](repeating: 0, count: 64)
        for start in stride(from: 0, to: message.count, by: 64) {
            expand(message, start, &schedule)
            compress(schedule, &state)
        }
        return state.flatMap { bytes($0) }
    }

    private static func bytes(_ number: some FixedWidthInteger) -> [UInt8] {
        (0..<number.bitWidth / 8).reversed().map {
            UInt8(truncatingIfNeeded: number >> (8 * $0))
        }
    }

    private static func rotated(_ word: UInt32, _ count: UInt32) -> UInt32 {
        word >> count | word << (32 - count)
    }

    private static func expand(_ message: [UInt8], _ start: Int, _ schedule: inout [UInt32]) {
        for index in 0..<16 {
            var word: UInt32 = 0
            for byte in message[start + 4 * index..<start + 4 * index + 4] {
                word = word << 8 | UInt32(byte)
            }
            schedule[index] = word
        }
        for index in 16..<64 {
            let (low, high) = (schedule[index - 15], schedule[index - 2])
            let first = rotated(low, 7) ^ rotated(low, 18) ^ low >> 3
            let second = rotated(high, 17) ^ rotated(high, 19) ^ high >> 10
            schedule[index] = schedule[index - 16] &+ first &+ schedule[index - 7] &+ second
        }
    }

    private static func compress(_ schedule: [UInt32], _ state: inout [UInt32]) {
        var work = state
        for index in 0..<64 {
            let (a, e) = (work[0], work[4])
            let choice = e & work[5] ^ ~e & work[6]
            let majority = a & work[1] ^ a & work[2] ^ work[1] & work[2]
            let first =
                work[7] &+ (rotated(e, 6) ^ rotated(e, 11) ^ rotated(e, 25)) &+ choice
                &+ rounds[index] &+ schedule[index]
            let second = (rotated(a, 2) ^ rotated(a, 13) ^ rotated(a, 22)) &+ majority
            work = [
                first &+ second, a, work[1], work[2], work[3] &+ first, e, work[5], work[6],
            ]
        }
        for index in 0..<8 { state[index] &+= work[index] }
    }
}
