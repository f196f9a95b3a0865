/// The journal of idempotency keys, which makes writes safe to retry: the `idempotency` of `gateway.json`.
package struct IdempotencySettings: Sendable, Equatable {
  /// For the journal alone. Absolute, or relative to the working directory if the state directory is.
  package var folder: String
  /// How long a key is kept once its outcome is known.
  package var ttlHours = 24
  /// Of all clients together.
  package var keysMax = 1_000_000
  /// At most `keysMax`.
  package var keysPerClientMax = 100_000
  package var diskBytesMax = 4_294_967_296
  /// For requests with a key; a larger body is rejected.
  package var bodyBytesMax = Self.keptBytesBounds.upperBound
  /// For responses to requests with a key; a larger body is relayed, but not kept.
  package var responseBytesMax = Self.keptBytesBounds.upperBound

  static let defaultFolder = "idempotency"
  static let ttlHoursBounds = 1...720
  static let keysBounds = 1_000...10_000_000
  static let diskBytesBounds = 64 << 20...1 << 40
  static let keptBytesBounds = 1_024...65_536

  package init(folder: String) {
    self.folder = folder
  }

  package var ttlSeconds: Int { ttlHours * 3_600 }
}

extension IdempotencySettings {
  /// Keys that the field does not have keep their defaults. nil: a fault was recorded.
  ///
  /// - Parameters:
  ///   - stateFolder: a relative `folder` is relative to it.
  ///   - others: with the logs and the token endpoint, whose files must be elsewhere.
  init?(_ field: Field, in reading: FolderReading, stateFolder: String, besides others: GatewaySettings) {
    let known = [
      "folder", "ttl_h", "keys_max", "keys_per_client_max", "disk_bytes_max", "body_bytes_max", "response_bytes_max",
    ]
    guard let members = field.members(known) else { return nil }
    let name = members["folder"].map { field in field.label(byteCountMax: 4_096) } ?? Self.defaultFolder
    guard let name else { return nil }
    self.init(folder: resolved(name, in: stateFolder))
    checkFolder(members["folder"] ?? field, reading, others)
    members.read("ttl_h", in: Self.ttlHoursBounds, into: &ttlHours)
    members.read("keys_max", in: Self.keysBounds, into: &keysMax)
    keysPerClientMax = min(keysPerClientMax, keysMax)
    let mine = members["keys_per_client_max"]
    if let count = mine?.integer(in: 1...Self.keysBounds.upperBound) { keysPerClientMax = count }
    if keysPerClientMax > keysMax { mine?.error("must be at most \"keys_max\", which is \(keysMax)") }
    members.read("disk_bytes_max", in: Self.diskBytesBounds, into: &diskBytesMax)
    members.read("body_bytes_max", in: Self.keptBytesBounds, into: &bodyBytesMax)
    members.read("response_bytes_max", in: Self.keptBytesBounds, into: &responseBytesMax)
  }

  private func checkFolder(_ field: Field, _ reading: FolderReading, _ others: GatewaySettings) {
    // Each record would cause a reload, and anyone who can read the policy could read the responses.
    if isWithin(folder, reading.folder.path) {
      field.error("must not be inside the policy folder; use a folder outside it or another --state folder")
    }
    for (key, log) in [("audit_log", others.auditLog), ("access_log", others.accessLog)] {
      guard case .file(let path) = log, isWithin(path, folder) else { continue }
      field.error("contains the file of \"\(key)\"; use a folder for the journal alone")
    }
    if let shared = others.oauth?.revocationsFolder, isWithin(shared, folder) || isWithin(folder, shared) {
      field.error("overlaps with the folder of \"oauth.revocations\"; use a folder for the journal alone")
    }
  }
}

extension GatewaySettings {
  /// Takes over what a running process cannot change: whether it has a journal of idempotency keys, and the journal's
  /// `folder` and `ttlHours`.
  package mutating func keepJournal(of old: GatewaySettings) {
    guard let inForce = old.idempotency else {
      idempotency = nil
      return
    }
    var settings = idempotency ?? inForce
    settings.folder = inForce.folder
    settings.ttlHours = inForce.ttlHours
    idempotency = settings
  }
}
