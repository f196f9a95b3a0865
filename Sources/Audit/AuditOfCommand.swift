import System

/// Entries of commands, which run outside of the gateway's process.
extension AuditLog {
  /// Appends one entry to the log of a gateway, as a separate chain; it is durable on return.
  ///
  /// The file must exist: one that a command creates might belong to a user whose files the gateway cannot write.
  ///
  /// - Parameter key: the key of the chain; nil: plain SHA-256.
  package static func append(_ grant: AuditGrant, to path: String, key: [UInt8]?) throws(AuditFault) {
    guard AppendFile.identity(of: path) != nil else { throw AuditFault(path: path, error: .noSuchFile) }
    var writer = try AuditWriter(path: path, chain: AuditChain(key: key), report: { _ in })
    var members: [UInt8] = []
    grant.append(to: &members)
    do throws(Errno) {
      try writer.writeOnly(.grant, members, at: SystemClock.wallMicroseconds)
    } catch {
      throw AuditFault(path: path, action: "write", error: error)
    }
  }
}
