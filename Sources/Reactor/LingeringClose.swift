package import Bytes

/// A lingering close: reads and drops what the peer still sends after our sending side is closed.
///
/// Closing the socket at once would answer those bytes with a reset, and the peer's system may then discard the response
/// before the peer has read it (RFC 9112 §9.6). The owner closes the sending side first, and the socket once `drain`
/// returns anything but `waiting` or a deadline passes.
package struct LingeringClose: Equatable, Sendable {
  package enum Progress: Equatable, Sendable {
    /// The peer has closed its side or the connection is gone: closing the socket loses nothing.
    case peerEnded
    /// The socket has no more bytes for now.
    case waiting
    /// The peer has sent more than the bound: it may lose the response.
    case boundReached
  }

  private var bytesLeft: Int

  /// - Parameter bytesMax: the most bytes to read; one more is `boundReached`.
  package init(bytesMax: Int) {
    precondition(bytesMax >= 0)
    bytesLeft = bytesMax
  }

  /// Reads until the socket would block.
  ///
  /// - Parameter scratch: a buffer whose contents are discarded.
  package mutating func drain(_ socket: borrowing Socket, into scratch: ByteBuffer) -> Progress {
    defer { scratch.removeAll() }
    while true {
      scratch.removeAll()
      scratch.reserve(1)
      switch socket.receive(into: scratch) {
      case .bytes(let count):
        guard count <= bytesLeft else { return .boundReached }
        bytesLeft -= count
      case .wouldBlock: return .waiting
      case .ended, .failed: return .peerEnded
      }
    }
  }
}
