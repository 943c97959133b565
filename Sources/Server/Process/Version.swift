// Version: the number of this release, in one place.

/// What `brim -V` and the statistic `brim_version` say.
public enum Version {
    public static let number = "0.1.0"
}
