// brim-fuzz: libFuzzer over the targets of Tests/Fuzzing. `make fuzz` builds it, no other build.
//
// brim-fuzz TARGET [an option or folder of libFuzzer …]. What a target complains of ends the
// process, so that libFuzzer keeps the input.

import CLibFuzzer
import Fuzzing
import Glibc

let names = FuzzTarget.allCases.map(\.rawValue).joined(separator: " ")
// A process that libFuzzer starts has the target's name from its parent.
let variable = "BRIM_FUZZ_TARGET"
let inherited = getenv(variable).map { String(cString: $0) }
let wanted = inherited ?? CommandLine.arguments.dropFirst().first ?? ""
guard let target = FuzzTarget(rawValue: wanted) else {
    print("brim-fuzz: the targets are \(names)")
    exit(2)
}
setenv(variable, wanted, 1)
let chosen = target

func test(_ data: UnsafePointer<UInt8>?, _ count: Int) -> Int32 {
    let input = Array(UnsafeBufferPointer(start: data, count: count))
    if let complaint = chosen.run(input) {
        print("brim-fuzz: \(chosen.rawValue): \(complaint)")
        fflush(nil)
        abort()
    }
    return 0
}

// libFuzzer sees the arguments without the target's name.
var texts: [UnsafeMutablePointer<CChar>?] =
    ([CommandLine.arguments[0]] + CommandLine.arguments.dropFirst(inherited == nil ? 2 : 1))
    .map { strdup($0) } + [nil]
var count = Int32(texts.count - 1)
let status = texts.withUnsafeMutableBufferPointer { buffer in
    var arguments = buffer.baseAddress
    return LLVMFuzzerRunDriver(&count, &arguments) { test($0, $1) }
}
exit(status)
