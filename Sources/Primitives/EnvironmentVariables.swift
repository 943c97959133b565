// EnvironmentVariables: what the process was told by its environment.

internal import CPrimitives
internal import Glibc

public enum EnvironmentVariables {
    /// All of them. Of a name that is there twice the first counts, as for `getenv`. Before there
    /// is any other thread.
    public static func all() -> [String: String] {
        var values: [String: String] = [:]
        // SAFETY: a null-terminated list of texts that end in a zero byte; nobody changes it now.
        var next = unsafe cprim_environment()
        while let entry = unsafe next?.pointee {
            let text = unsafe String(cString: entry)
            if let sign = text.utf8.firstIndex(of: UInt8(ascii: "=")) {
                let name = String(text[..<sign])
                if values[name] == nil { values[name] = String(text[text.index(after: sign)...]) }
            }
            unsafe next = next?.successor()
        }
        return values
    }

    /// Before there is any other thread.
    public static func remove(_ name: String) {
        // SAFETY: the name is lent for the call; nobody else reads the environment.
        _ = unsafe unsetenv(name)
    }
}
