import Dates

extension UnixSeconds: CustomStringConvertible {
  /// RFC 3339 in UTC, such as `2027-01-01T00:00:00Z`.
  package var description: String { CivilTime(secondsSince1970: rawValue).rfc3339 }
}
