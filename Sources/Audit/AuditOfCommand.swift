import System

/// Entries of commands, which run outside of the gateway's process.
extension AuditLog {
  /// Appends one entry to the log of a gateway, as a separate chain; it is durable on return.
  ///
  /// The file must exist: one that a command creates might belong to a user whose files the gateway cannot write.
  ///
  /// - Parameter key: the key of the chain; nil: plain SHA-256.
  package static func append(_ grant: AuditGrant, to path: String, key: [UInt8]?) throws(AuditFault) {
    var members: [UInt8] = []
    grant.append(to: &members)
    try append(.grant, members, to: path, key: key)
  }

  /// The same for what a command has changed.
  package static func append(_ command: AuditCommand, to path: String, key: [UInt8]?) throws(AuditFault) {
    var members: [UInt8] = []
    command.append(to: &members)
    try append(.command, members, to: path, key: key)
  }

  private static func append(
    _ kind: AuditEntry.Kind, _ members: [UInt8], to path: String, key: [UInt8]?
  ) throws(AuditFault) {
    guard AppendFile.identity(of: path) != nil else { throw AuditFault(path: path, error: .noSuchFile) }
    var writer = try AuditWriter(path: path, chain: AuditChain(key: key), report: { _ in })
    do throws(Errno) {
      try writer.writeOnly(kind, members, at: SystemClock.wallMicroseconds)
    } catch {
      throw AuditFault(path: path, action: "write", error: error)
    }
  }
}
