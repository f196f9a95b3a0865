/// Warns once when a limit is 80 % used, and again after its use was below 75 %.
struct JournalWarnings: Sendable {
  private static let warnPercent = 80
  private static let againPercent = 75

  private var keys = false
  private var disk = false
  /// When all clients were looked at.
  private var checked = (changes: 0, limit: 0)

  /// The warnings for the present use.
  mutating func update(_ table: inout JournalTable) -> [String] {
    let settings = table.settings
    var warnings: [String] = []
    if Self.crosses(table.keyCount, settings.keysMax, &keys) {
      warnings.append(Self.text("\(table.keyCount) keys", "keys_max", settings.keysMax))
    }
    if Self.crosses(table.diskBytes, settings.diskBytesMax, &disk) {
      warnings.append(Self.text("\(table.diskBytes) bytes", "disk_bytes_max", settings.diskBytesMax))
    }
    // Looking at all clients takes time, so one may be 1 % above before it is noticed.
    let change = table.scopes.changes &- checked.changes
    guard change >= settings.keysPerClientMax / 100 || settings.keysPerClientMax != checked.limit else {
      return warnings
    }
    checked = (table.scopes.changes, settings.keysPerClientMax)
    for (number, client) in table.scopes.clients.enumerated() {
      var (hasWarning, hasDiskWarning) = (client.hasWarning, client.hasDiskWarning)
      if Self.crosses(client.keys, settings.keysPerClientMax, &hasWarning) {
        warnings.append(
          Self.text("\(client.keys) keys of client \(client.name)", "keys_per_client_max", settings.keysPerClientMax))
      }
      if Self.crosses(client.bytes, settings.clientDiskBytesMax, &hasDiskWarning) {
        warnings.append(
          Self.text(
            "\(client.bytes) bytes of client \(client.name)", "disk_bytes_max, a client's share of it",
            settings.clientDiskBytesMax))
      }
      if hasWarning != client.hasWarning || hasDiskWarning != client.hasDiskWarning {
        table.scopes.setWarnings(number, keys: hasWarning, disk: hasDiskWarning)
      }
    }
    return warnings
  }

  private static func crosses(_ used: Int, _ limit: Int, _ hasWarning: inout Bool) -> Bool {
    let percent = percent(used, limit)
    if hasWarning, percent < againPercent { hasWarning = false }
    guard !hasWarning, percent >= warnPercent else { return false }
    hasWarning = true
    return true
  }

  /// Rounded down.
  static func percent(_ used: Int, _ limit: Int) -> Int { Int(Double(used) * 100 / Double(max(1, limit))) }

  private static func text(_ used: String, _ limit: String, _ value: Int) -> String {
    "idempotency: \(used), at least \(warnPercent) % of idempotency.\(limit) = \(value); at the limit, new keys are "
      + "rejected with 503"
  }
}
