package import Bytes

/// The end of a connection whose peer may still be sending: reads what comes after our side is closed, and drops it.
///
/// Closing at once would answer those bytes with a reset, and the peer's system may then discard the response before the
/// peer has read it (RFC 9112 §9.6). The owner closes our side before, and the socket after `drain` says so or a
/// deadline has passed.
package struct LingeringClose: Equatable, Sendable {
  package enum Progress: Equatable, Sendable {
    /// The peer has closed its side, or the connection is gone: closing the socket destroys nothing.
    case peerEnded
    /// Nothing more has come yet.
    case waiting
    /// The peer has sent more than the bound, and goes on at its own risk.
    case boundReached
  }

  private var bytesLeft: Int

  /// - Parameter bytesMax: how many bytes are read; one more reaches the bound.
  package init(bytesMax: Int) {
    precondition(bytesMax >= 0)
    bytesLeft = bytesMax
  }

  /// Reads all that has come, until the socket would block.
  ///
  /// - Parameter scratch: what it holds is lost; afterwards it is empty.
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
