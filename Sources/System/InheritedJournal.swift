import Glibc

/// The journal of idempotency keys of an older process of the gateway, which it hands over when it is asked.
package struct InheritedJournal: Sendable {
  private let lock: InheritedSocket
  private let keys: InputFile
  private let pipe: InheritedSocket

  init(lock: InheritedSocket, keys: InheritedSocket, pipe: InheritedSocket) {
    self.lock = lock
    self.keys = InputFile(keys.take())
    self.pipe = pipe
  }

  /// Takes the descriptor that has the lock of the journal's folder. Call it once.
  package func takeLock() -> FileDescriptor { lock.take() }

  /// Asks the older process for its keys in flight. It claims no others from then on. Call it once, before the handover is
  /// confirmed.
  ///
  /// - Returns: nil if it has ended.
  /// - Throws: `Errno.tooLarge` if it sends more than `Successor.keysBytesMax`.
  package func receiveKeys() throws(Errno) -> [UInt8]? {
    Successor.Message.asksForKeys.send(to: pipe.number)
    let prefix = try keys.read(Successor.keysPrefixBytes)
    guard prefix.count == Successor.keysPrefixBytes else { return nil }
    let count = prefix.reversed().reduce(UInt64(0)) { $0 << 8 | UInt64($1) }
    guard count <= Successor.keysBytesMax else { throw .tooLarge }
    let bytes = try keys.read(Int(count))
    return bytes.count == count ? bytes : nil
  }

  /// Returns when the older process has ended: the kernel closes the other end of the pipe after its last thread.
  package func waitForEnd() throws(Errno) {
    while try !keys.read(1).isEmpty {}
  }
}

extension Errno {
  fileprivate static let tooLarge = Errno(EMSGSIZE)
}
