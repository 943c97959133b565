// CoreList: cores by number, as options name them.

internal import Load

/// `0`, or `0,2`.
enum CoreList {
    static let coreMax = 1023

    /// No core for an empty text.
    static func parse(_ text: String, _ option: String) throws(ArgumentFault) -> [Int] {
        guard !text.isEmpty else { return [] }
        var cores: [Int] = []
        for part in text.split(separator: ",", omittingEmptySubsequences: false) {
            guard let core = Int(part), core >= 0, core <= coreMax else {
                throw ArgumentFault("\(option) '\(text)' is not a list of cores such as 0,1")
            }
            cores.append(core)
        }
        return cores
    }
}
