// Version: the number of this release, and of the compiler that made it, in one place.

/// What `brim -V` and the statistic `brim_version` say.
public enum Version {
    public static let number = "0.1.0"
    #if compiler(>=6.4)
        static let compiler = "6.4 or newer"
    #else
        static let compiler = "6.3"
    #endif
}
