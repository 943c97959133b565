// SettingsFuzz: the reader of the settings file, fuzzed. Compiled together with that file alone
// (see the Makefile): the module it belongs to is a program.

@_cdecl("LLVMFuzzerTestOneInput")
public func test(_ data: UnsafePointer<UInt8>?, _ count: Int) -> Int32 {
    let text = String(decoding: UnsafeBufferPointer(start: data, count: count), as: UTF8.self)
    guard let mapping = try? FlatMapping(text) else { return 0 }
    let lines = text.split(omittingEmptySubsequences: false, whereSeparator: \.isNewline).count
    for (name, _, line) in mapping.values {
        precondition(!name.isEmpty && line >= 1 && line <= lines)
    }
    return 0
}
