// GivenFlags: what a command line gives, read from the long spellings that Arguments makes.
//
// Arguments knows every flag and whether it takes a value, so nothing is left to refuse here. The
// argument parser is asked for its help only: it looks at the whole declaration of the flags
// through reflection, which would take most of a start.

internal import Server

struct GivenFlags {
    /// What was given, as text by setting.
    private(set) var texts: [SettingName: String] = [:]
    private(set) var config: String?
    private(set) var checkConfig = false
    private(set) var probes = false
    private(set) var wantsVersion = false
    private(set) var wantsHelp = false

    /// - Parameter arguments: Of an `Expansion`: `--name` or `--name=value`.
    init(_ arguments: [String]) {
        var verbosity = 0
        for argument in arguments {
            let parts = argument.dropFirst(2)
                .split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
            let name = String(parts[0])
            let value = parts.count == 2 ? String(parts[1]) : nil
            switch name {
            case "config": config = value
            case "check-config": checkConfig = true
            case "probe": probes = true
            case "version": wantsVersion = true
            case "help": wantsHelp = true
            case SettingName.verbose.rawValue: verbosity += 1
            default:
                guard let setting = SettingName(rawValue: name) else { continue }
                give(setting, value ?? "true")
            }
        }
        guard verbosity > 0 else { return }
        texts[.verbose] = "\(min(verbosity, Settings.verbosityRange.upperBound))"
    }

    /// A flag given twice counts as its last; lists of addresses add up.
    private mutating func give(_ setting: SettingName, _ text: String) {
        let isList = setting == .listen || setting == .adminListen
        if isList, let before = texts[setting] {
            texts[setting] = before + "," + text
        } else {
            texts[setting] = text
        }
    }
}
